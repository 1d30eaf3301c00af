"""Faults beyond those of tools.services and tests.live.servers: lossy channel layers, skewed clocks, frozen hosts."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.utils.module_loading import import_string


def LossyLayer(behind: dict[str, Any]) -> Any:  # it stands where a class would
    """The layer that the settings name, which loses a share of what it receives: CHAOS_DROP, from 0 to 1."""
    share, chance = float(os.environ["CHAOS_DROP"]), random.Random(1)
    layer_class = import_string(behind["BACKEND"])

    class Lossy(layer_class):  # type: ignore[misc, valid-type]
        async def receive(self, channel: str) -> Any:
            while True:
                message = await super().receive(channel)
                # Other messages are the layer's own probes, which show whether it works.
                if not str(message.get("type", "")).startswith("doorbell.") or chance.random() >= share:
                    return message
                await asyncio.sleep(0)

    return Lossy(**behind["CONFIG"])


# `manage.py serve` in a process whose clock is ten minutes ahead of the others'.
SKEWED_SERVE = """
import datetime, sys, time
from django.utils import timezone
AHEAD = 600
real_time, real_now = time.time, timezone.now
time.time = lambda: real_time() + AHEAD
timezone.now = lambda: real_now() + datetime.timedelta(seconds=AHEAD)
sys.argv = ["manage.py", "serve", "--port", sys.argv[1]]
import manage
manage.main()
"""

# Fifty processes that die between COMMIT and the event for what they committed.
CRASHES = """
import os, sys
import django
django.setup()
from django.db import connections, transaction
from messaging import notifications
users, made = [int(user) for user in sys.argv[1].split(",")], []
for user in users:
    out, into = os.pipe()
    child = os.fork()
    if not child:
        with transaction.atomic():
            transaction.on_commit(lambda: os._exit(9))
            row = notifications.notify(user, "announcement", "Crash")
            os.write(into, str(row.pk).encode())
        os._exit(0)
    os.close(into)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 9, status
    print(user, int(os.read(out, 20)), flush=True)
    os.close(out)
"""


def process_tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process and its descendants, as a host that hangs does: connections stay, nothing answers."""
    stopped = process_tree(pid)
    for member in stopped:
        _signal(member, signal.SIGSTOP)
    try:
        yield
    finally:
        for member in stopped:
            _signal(member, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def deleted_file_bytes(pid: int) -> int:
    """What a process has stored in temporary files that have no name any more."""
    total = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(entry.readlink()).endswith(" (deleted)"):
                total += entry.stat().st_size
        except OSError:
            continue
    return total
