"""The account and the folder of a test server: PostgreSQL refuses root, and another account may not reach our files."""

import contextlib
import os
import pwd
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .server import ServiceError


def server_account() -> pwd.struct_passwd | None:
    """The account that PostgreSQL runs as: another one if we are root, else None, which is our own."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServiceError(
        "PostgreSQL refuses to run as root, and there is neither a `postgres` nor a `nobody` account."
        " Fix: run the tests as an ordinary user."
    )


def run_as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """subprocess options to run as `account`, with an environment that names no user's home."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    if account is None:
        return {"env": environment}
    environment.update(HOME="/", USER=account.pw_name, LOGNAME=account.pw_name)
    return {"env": environment, "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def temporary_folder(prefix: str, account: pwd.struct_passwd | None = None) -> Path:
    """A new 0700 folder the account owns and reaches, with a path short enough for a Unix socket."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108
        if len(parent) > 70 or not os.path.isdir(parent):
            continue
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent)).resolve()
        if account is None:
            return folder
        os.chown(folder, account.pw_uid, account.pw_gid)
        if can_run("/bin/sh", run_as(account), "-c", 'cd "$0"', str(folder)):
            return folder
        folder.rmdir()
    raise ServiceError(
        f"No temporary folder that {account.pw_name if account else 'a Unix socket'} can use."
        " Fix: set TMPDIR to a short path that every account can enter, such as /tmp."
    )


def can_run(program: str | Path, options: Mapping[str, Any], *arguments: str) -> bool:
    try:
        done = subprocess.run(
            [program, *(arguments or ("--version",))],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,
        )
    except OSError:
        return False
    return done.returncode == 0
