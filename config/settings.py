"""Every setting of the project. Runs with an empty environment: SQLite, in-memory layer, debug pages on.

Production sets DEBUG=False, SECRET_KEY, ALLOWED_HOSTS, DATABASE_URL and REDIS_URL; see .env.example.
"""

import re
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()


def env_bool(name: str, *, default: bool) -> bool:
    """Read a switch strictly: a typo in a security setting must not silently mean False."""
    value = env.str(name, default=str(default))
    switches = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False}
    switches["off"] = False
    if value.lower() not in switches:
        raise ImproperlyConfigured(f"Unexpected value {name}={value!r}, use True or False")
    return switches[value.lower()]


def env_number(name: str, *, default: float) -> float:
    """Read a number that is finite and not below zero."""
    value = env.str(name, default=str(default))
    # No sign, no exponent, no "nan": of all that float() takes only this is meant in an environment.
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        raise ImproperlyConfigured(f"Unexpected value {name}={value!r}, use a number")
    return float(value)


DEBUG = env_bool("DEBUG", default=True)
# The seeded people and the one-click sign-in of the demo page.
DEMO = env_bool("DEMO", default=DEBUG)
# Empty in production unless set, and then Django refuses to start with "must not be empty".
SECRET_KEY = env.str("SECRET_KEY", default="insecure-development-key-not-for-production" if DEBUG else "")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic",
    "django.contrib.staticfiles",
    "channels",
    "ninja",
    "csp",
    "messaging",
    "realtime",
    "config.demo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def database(url: str) -> dict[str, Any]:
    """Turn DATABASE_URL into Django's settings, with the options under which each database is right."""
    settings: dict[str, Any] = dict(environ.Env.db_url_config(url))
    if settings["ENGINE"] == "django.db.backends.sqlite3":
        # WAL and IMMEDIATE: readers never wait, and writers queue instead of failing with "database is locked".
        settings["OPTIONS"] = {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        }
        # A test that has several connections needs a file, not memory.
        settings["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
    else:
        # Under ASGI a persistent connection per thread leaks; the pool is what bounds and checks them.
        settings["CONN_MAX_AGE"] = 0
        settings["CONN_HEALTH_CHECKS"] = True
        settings.setdefault("OPTIONS", {})["pool"] = {
            "min_size": 2,
            "max_size": int(env_number("DATABASE_POOL_SIZE", default=20)),
            "timeout": 10,
            # Its tries are further and further apart, and nobody else tries meanwhile: with the default of 300 s a
            # server stayed dark for 49 s after 70 s without PostgreSQL. After so long the next caller tries anew.
            "reconnect_timeout": 5,
        }
    return settings


VAR_DIR.mkdir(exist_ok=True)
DATABASES = {"default": database(env.str("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'db.sqlite3'}"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "realtime.storage.ModuleManifestStorage"
    },
}
SERVESTATIC_USE_FINDERS = DEBUG
SERVESTATIC_AUTOREFRESH = DEBUG

# API calls are limited to 20 a second a user, in bursts of 200: messaging/api/throttles.py.
API_RATE_LIMIT = env_bool("API_RATE_LIMIT", default=True)
# With a token, /metrics answers only to who brings it: Authorization: Bearer <token>.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
SESSION_ENGINE = "config.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env_bool("SECURE_COOKIES", default=not DEBUG)
TRUST_PROXY = env_bool("TRUST_PROXY", default=False)
if TRUST_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Only the proxy knows the way in over HTTPS; those who ask after the process's health come past it.
SECURE_SSL_REDIRECT = env_bool("SECURE_SSL_REDIRECT", default=TRUST_PROXY and SESSION_COOKIE_SECURE)
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]
SECURE_HSTS_SECONDS = int(env_number("HSTS_SECONDS", default=0))
# Whether other names under this domain are for HTTPS only isn't Doorbell's to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'", "data:"],
    }
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # Django's own handlers would print everything a second time.
        "django": {"handlers": [], "level": "INFO"},
        # Answers of 4xx are the client's business, not a warning for whoever runs the server.
        "django.request": {"level": "ERROR"},
        # The sockets' paths are logged with their query strings at INFO.
        "uvicorn.error": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
    },
}

# --- Real time ---------------------------------------------------------------------------------------------

REDIS_URL = env.str("REDIS_URL", default="")
REALTIME_PREFIX = env.str("REALTIME_PREFIX", default="doorbell")
# Or channels_redis.pubsub.RedisPubSubChannelLayer, or channels_redis.core.RedisChannelLayer.
REALTIME_LAYER = env.str("REALTIME_LAYER", default="realtime.channel_layer.GuardedRedisLayer")
_core = REALTIME_LAYER.startswith("channels_redis.core.")
CHANNEL_LAYERS: dict[str, dict[str, Any]]
if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": REALTIME_LAYER,
            "CONFIG": {
                # The core layer blocks for 5 s at a time, and dies of a shorter timeout.
                "hosts": [
                    {"address": REDIS_URL, "socket_timeout": 30 if _core else 1, "socket_connect_timeout": 1}
                ],
                "prefix": REALTIME_PREFIX,
            }
            | ({"capacity": 10_000} if _core else {}),
        }
    }
else:
    # One process only. A message that expires takes its channel out of its groups: never let one expire.
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "CONFIG": {"capacity": 1_000_000, "expiry": 10**9, "group_expiry": 10**9},
        }
    }

# What each of these means, and its default, stands in realtime/conf.py.
for _name in (
    "REALTIME_SWEEP_SECONDS",
    "REALTIME_HEARTBEAT_SECONDS",
    "REALTIME_PENDING_SECONDS",
    "REALTIME_MAX_CONNECTIONS_PER_USER",
    "REALTIME_OFFLINE_GRACE_SECONDS",
    "REALTIME_LEASE_SECONDS",
    "REALTIME_RECHECK_SECONDS",
    "REALTIME_MAX_AGE_SECONDS",
    "REALTIME_SLOW_SECONDS",
    "REALTIME_PREDRAIN_SECONDS",
    "REALTIME_DRAIN_SECONDS",
    "REALTIME_PING_SECONDS",
):
    if _name in env.ENVIRON:
        globals()[_name] = env_number(_name, default=0)
REALTIME_RELAY = env_bool("REALTIME_RELAY", default=True)
REALTIME_ORIGINS = env.list("REALTIME_ORIGINS", default=[])
