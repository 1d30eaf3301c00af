"""The environment variables of this project: one row each. Another project that installs the two apps has none of them.

settings.py reads this table, docs/configuration.md is generated from it and from realtime/conf.py, and tests hold
.env.example and docker-compose.yml to it.
"""

from collections.abc import Mapping

from messaging.setting_types import (
    Choice,
    Integer,
    Names,
    Number,
    Setting,
    SettingsTable,
    Switch,
    T,
    Text,
    Url,
)

DJANGO, STORES, REAL_TIME = "Django", "Stores", "Real time"


class Environment(SettingsTable):
    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables

    def value_of(self, row: Setting[T]) -> T:
        if row.name not in self.variables:
            return row.default_in(self)
        return row.from_environment(self.variables[row.name])

    # Without a key in production Django refuses to start with "must not be empty".
    secret_key = Text(
        lambda env: "insecure-development-key-not-for-production" if env.debug else "",
        "Django's `SECRET_KEY`, long and random. The server doesn't start without one, unless `DEBUG`.",
        default_text="none",
        section=DJANGO,
        secret=True,
    )
    secret_key_fallbacks = Names(
        [],
        "Earlier keys, still valid for reading what they signed.",
        of="keys",
        section=DJANGO,
        secret=True,
    )
    debug = Switch(True, "Django's debug pages. Must be `False` in production.", section=DJANGO)
    allowed_hosts = Names(
        ["localhost", "127.0.0.1", "[::1]"],
        "The names under which the server is reached.",
        of="host names",
        section=DJANGO,
    )
    csrf_trusted_origins = Names(
        [],
        "Origins, besides the server's own, that may post forms.",
        of="origins such as https://app.example.com",
        section=DJANGO,
    )
    demo = Switch(
        lambda env: env.debug,
        "The demo page's people and its sign-in with one click.",
        default_text="as `DEBUG`",
        section=DJANGO,
    )
    secure_cookies = Switch(
        lambda env: not env.debug,
        "Send cookies over HTTPS only. `False` only where there is no HTTPS.",
        default_text="`True`, unless `DEBUG`",
        section=DJANGO,
    )
    trust_proxy = Switch(
        False,
        "Believe `X-Forwarded-Proto`. Only behind a proxy that sets it itself, as docker-compose.yml's does.",
        section=DJANGO,
    )
    secure_ssl_redirect = Switch(
        lambda env: env.trust_proxy and env.secure_cookies,
        "Redirect HTTP to HTTPS, except /healthz, /readyz and /metrics.",
        default_text="`True` with both `TRUST_PROXY` and `SECURE_COOKIES`",
        section=DJANGO,
    )
    hsts_seconds = Integer(
        0,
        "How long a browser that has been here over HTTPS uses nothing else (`Strict-Transport-Security`). 31536000 "
        "once everything works.",
        unit="seconds",
        section=DJANGO,
    )
    api_rate_limit = Switch(
        True,
        "Limit API calls to 20 a second per user, in bursts of 200. `False` only for load tests.",
        section=DJANGO,
    )
    password_hashes_at_once = Integer(
        2,
        "How many sign-ins a process checks at once, each for a third of a second of a core. More wait, up to 60.",
        minimum=1,
        section=DJANGO,
    )
    sign_ins_per_second = Number(
        1.0,
        "Attempts to sign in with one username from one address, in bursts of 100. More where programs send a password "
        "with each call (HTTP Basic).",
        minimum=0.01,
        section=DJANGO,
    )
    language_code = Text(
        "en-us",
        "The language of notifications to users who have chosen none, and of the admin where a browser asks for none "
        "that there is: `en-us`, `de`, `es`, `fr` or `ja`.",
        section=DJANGO,
    )
    log_level = Choice(
        "INFO",
        "The least severe log records that are shown.",
        choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        section=DJANGO,
    )
    log_format = Choice(
        lambda env: "text" if env.debug else "json",
        "A line for a person, or a JSON object for a program: `timestamp`, `level`, `logger`, `event` (the text), "
        "`process`, and where there are any `request`, `user`, `connection`, `revision`, `notifications`.",
        choices=("text", "json"),
        default_text="`json`, unless `DEBUG`",
        section=DJANGO,
    )
    metrics_token = Text(
        "",
        "If set, /metrics requires `Authorization: Bearer <token>`.",
        default_text="none",
        section=DJANGO,
        secret=True,
    )
    database_url = Url(
        "The database: `postgres://user:password@host/name`. On PostgreSQL the isolation level must be READ COMMITTED.",
        schemes=("postgres", "postgresql", "sqlite"),
        # Else a variable that was meant to hold the address would start a server on an ephemeral database.
        may_be_empty=False,
        default_text="SQLite in `var/`",
        section=STORES,
    )
    redis_url = Url(
        "The Redis through which the server processes reach each other. Without it the channel layer is in memory, "
        "which serves one process only.",
        schemes=("redis", "rediss", "unix"),
        default_text="none",
        section=STORES,
    )
    database_pool_size = Integer(
        20, "Connections to PostgreSQL, at most, per server process.", minimum=2, section=STORES
    )
    database_pool_timeout = Number(
        3.0,
        "How long a call waits for a connection to PostgreSQL while all are in use, before it is answered with 503.",
        minimum=0.1,
        unit="seconds",
        section=STORES,
    )
    realtime_prefix = Text(
        "doorbell",
        "The beginning of every channel name in Redis. Two installations that share a Redis need two.",
        section=REAL_TIME,
    )


class ComposeVariables(SettingsTable):
    """What docker-compose.yml alone reads; here only to be documented."""

    postgres_password = Text(
        "",
        "The password of its own PostgreSQL. Letters and digits: it becomes part of an address. Required.",
        default_text="none",
        secret=True,
    )
    site_address = Text(
        "localhost",
        "A domain name: HTTPS, with a certificate that the proxy obtains. `localhost`: HTTPS, with one of the proxy's "
        "own. `:80`: plain HTTP, which needs `SECURE_COOKIES=False`, and `ALLOWED_HOSTS`, which is this otherwise.",
    )
    prune_days = Integer(90, "After how many days notifications are removed.", minimum=1)
    http_port = Integer(80, "The port on which the proxy is published.", minimum=1, maximum=65535)
    https_port = Integer(443, "The same, for HTTPS.", minimum=1, maximum=65535)
