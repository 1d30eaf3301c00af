"""Open transactions of other threads, and waiting for their locks. See also the fixture `held`."""

import threading
import time
from contextlib import contextmanager

from django.db import connection, transaction


class Undo(Exception):
    """Raised to roll a transaction back."""


@contextmanager
def held_open(threads, function, *, undo=False):
    """Call the function in a transaction of another thread, which stays open until the block ends."""
    done, go_on = threading.Event(), threading.Event()

    def run():
        try:
            with transaction.atomic():
                function()
                done.set()
                assert go_on.wait(60)
                if undo:
                    raise Undo
        except Undo:
            pass
        finally:
            done.set()

    thread = threads.start(run)
    assert done.wait(10)
    try:
        yield thread
    finally:
        go_on.set()
        thread.join(10)


def waits_for_a_lock():
    """Return whether another connection to this database waits for a lock (PostgreSQL)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0] > 0


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)
