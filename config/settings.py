"""Django's settings for the project. An empty environment means development: SQLite, in-memory layer, debug pages.

What the environment may set is in environment.py and realtime/conf.py, which docs/configuration.md shows.
"""

import os
from pathlib import Path
from typing import Any

import environ

from config.environment import Environment
from realtime.conf import Conf

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = Environment(os.environ)

DEBUG = env.debug
DEMO = env.demo
SECRET_KEY = env.secret_key
SECRET_KEY_FALLBACKS = env.secret_key_fallbacks
ALLOWED_HOSTS = env.allowed_hosts
CSRF_TRUSTED_ORIGINS = env.csrf_trusted_origins

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
    "config.admin_language.admin_language",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "realtime.http.one_thread.one_thread",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"
TEST_RUNNER = "config.test_runner.PytestRunner"

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
    """Return Django's settings for DATABASE_URL, with the options that each database needs."""
    settings: dict[str, Any] = dict(environ.Env.db_url_config(url))
    if settings["ENGINE"] == "django.db.backends.sqlite3":
        # WAL and IMMEDIATE: readers never wait, and writers queue instead of failing with "database is locked".
        settings["OPTIONS"] = {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        }
        # Tests with several connections need a file, not memory.
        settings["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
    else:
        # Under ASGI persistent connections leak, one per thread; a pool limits and checks them.
        settings["CONN_MAX_AGE"] = 0
        settings["CONN_HEALTH_CHECKS"] = True
        settings.setdefault("OPTIONS", {})["pool"] = {
            "min_size": 2,
            "max_size": env.database_pool_size,
            "timeout": env.database_pool_timeout,
            # The pool reconnects at growing intervals, and callers don't meanwhile: with the default of 300 s a server
            # stayed without a database for 49 s after PostgreSQL had been away for 70 s. After this timeout the next
            # caller starts a new attempt.
            "reconnect_timeout": 5,
        }
    return settings


VAR_DIR.mkdir(exist_ok=True)
DATABASES = {"default": database(env.database_url or f"sqlite:///{VAR_DIR / 'db.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTHENTICATION_BACKENDS = [
    "messaging.auth_backends.LoginThrottle",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = env.language_code
TIME_ZONE = "UTC"
USE_I18N = True
# Arabic, which the two apps don't have, for the demo.
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
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
        else "realtime.static_storage.ModuleManifestStorage"
    },
}
SERVESTATIC_USE_FINDERS = DEBUG
SERVESTATIC_AUTOREFRESH = DEBUG

# Everything is open here: docs/security.md says what a project opens by which of these.
DOORBELL_USERS = DOORBELL_MESSAGES = DOORBELL_SESSION = True
API_RATE_LIMIT = env.api_rate_limit
PASSWORD_HASHES_AT_ONCE = env.password_hashes_at_once
SIGN_INS_PER_SECOND = env.sign_ins_per_second
METRICS_TOKEN = env.metrics_token
SESSION_ENGINE = "config.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.secure_cookies
if env.trust_proxy:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Probes and Prometheus reach the processes directly, over HTTP.
SECURE_SSL_REDIRECT = env.secure_ssl_redirect
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]
SECURE_HSTS_SECONDS = env.hsts_seconds
# HSTS for subdomains, and its preloading, concern more than this server.
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

LOG_FORMATTERS: dict[str, dict[str, Any]] = {
    "text": {
        "()": "realtime.log_records.OneLineFormatter",
        "format": "{asctime} {levelname} {name}: {message}",
        "style": "{",
    },
    "json": {"()": "config.logs.JsonFormatter"},
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": LOG_FORMATTERS[env.log_format]},
    "filters": {
        "clients": {"()": "realtime.log_records.ClientErrorFilter"},
        "outages": {"()": "realtime.log_records.OutageFilter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["clients", "outages"]},
    },
    "root": {"handlers": ["console"], "level": env.log_level},
    "loggers": {
        # Django's own handlers would print every record a second time.
        "django": {"handlers": [], "level": "INFO"},
        # Responses of 4xx are clients' errors, and no warning to the operator.
        "django.request": {"level": "ERROR"},
        # INFO would log the sockets' paths with their query strings.
        "uvicorn.error": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
    },
}

# --- Real time ---------------------------------------------------------------------------------------------

if env.redis_url:
    CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
        "default": {
            "BACKEND": "realtime.channel_layer.GuardedRedisLayer",
            "CONFIG": {
                "hosts": [{"address": env.redis_url, "socket_timeout": 1, "socket_connect_timeout": 1}],
                "prefix": env.realtime_prefix,
            },
        }
    }
else:
    # For one process only. In this layer a message that expires removes its channel from its groups: none may expire.
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "CONFIG": {"capacity": 1_000_000, "expiry": 10**9, "group_expiry": 10**9},
        }
    }

for _row in Conf.rows():
    if _row.name in os.environ:
        globals()[_row.name] = _row.from_environment(os.environ[_row.name])
# What no row reads is here for the system check that names it, as a misspelt setting.
for _name in os.environ.keys() - {_row.name for _row in (*Conf.rows(), *Environment.rows())}:
    if _name.startswith(Conf.PREFIX):
        globals()[_name] = os.environ[_name]
