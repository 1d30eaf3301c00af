"""The optional parts of the distribution: which modules each brings, and the error where they are missing.

Modules are looked up, never imported.
"""

from importlib.util import find_spec

MODULES = {
    "daphne": ("daphne",),
    "postgres": ("psycopg",),
    "redis": ("channels_redis", "redis", "hiredis"),
    "server": ("uvicorn", "websockets", "httptools", "uvloop"),
}
# Beginnings of the names that CHANNEL_LAYERS has for layers on Redis.
REDIS_LAYERS = ("realtime.channel_layer.", "channels_redis.")


def missing(extra: str, needed_by: str) -> str:
    """Return what an error says, or "" if everything is installed."""
    absent = [name for name in MODULES[extra] if find_spec(name) is None]
    if not absent:
        return ""
    verb = "isn't" if len(absent) == 1 else "aren't"
    return (
        f"{needed_by} needs {', '.join(absent)}, which {verb} installed: pip install django-doorbell[{extra}]"
    )
