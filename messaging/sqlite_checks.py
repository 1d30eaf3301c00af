"""System checks of SQLite's options, for deployments: with its defaults readers wait for writers, and writers fail."""

import re
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Warning, register  # noqa: A004  Django's name for it
from django.db import DEFAULT_DB_ALIAS, connections

from .hints import paste

OPTIONS = 'DATABASES["default"].setdefault("OPTIONS", {})'
# In the header of the file, where the journal's mode is kept.
WAL = b"\x02\x02"


@register(deploy=True)
def journal(**kwargs: Any) -> list[CheckMessage]:
    """The database file has a write-ahead log."""
    if not _is_file() or re.search(r"journal_mode\s*=\s*['\"]?wal", _options("init_command"), re.IGNORECASE):
        return []
    try:
        with Path(connections[DEFAULT_DB_ALIAS].settings_dict["NAME"]).open("rb") as file:
            if file.read(20)[18:] == WAL:
                return []
    except OSError:  # not made yet
        pass
    pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
    given = _options("init_command")
    line = f'["init_command"] {"+=" if given else "="} "{"; " * bool(given)}{pragmas}"'
    return [
        Warning(
            "SQLite has no write-ahead log: readers wait for writers, and pushes are late.",
            hint=paste("Let readers and writers pass each other.", OPTIONS + line),
            id="messaging.W008",
        )
    ]


@register(deploy=True)
def transactions(**kwargs: Any) -> list[CheckMessage]:
    """Transactions take the lock when they begin."""
    if not _is_file() or _options("transaction_mode").upper() in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    lines = f'{OPTIONS}["transaction_mode"] = "IMMEDIATE"\n{OPTIONS}.setdefault("timeout", 20)'
    return [
        Warning(
            "SQLite's transactions take their lock at the first write: two that have read before fail at once, with "
            '"database is locked", instead of waiting for each other.',
            hint=paste("Let writers queue.", lines),
            id="messaging.W009",
        )
    ]


def _is_file() -> bool:
    connection: Any = connections[DEFAULT_DB_ALIAS]
    return connection.vendor == "sqlite" and not connection.is_in_memory_db()


def _options(name: str) -> str:
    return str((connections[DEFAULT_DB_ALIAS].settings_dict.get("OPTIONS") or {}).get(name) or "")
