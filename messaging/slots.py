"""How much may run at once, where token_bucket.py limits how often: a semaphore for each key, with a bounded queue.

For threads; realtime/fair_queue.py is for an event loop.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db import connections

from .exceptions import Text, TooOften


@dataclass(slots=True)
class _Line:
    running: int = 0
    waiting: deque[threading.Event] = field(default_factory=deque)


class Slots:
    """Lets at most `limit` run at once for each key. Up to `max_waiting` more wait their turn, for `max_seconds` each.

    Kept in the process's memory, as the processor and the connections are that it protects.
    """

    def __init__(self, max_waiting: int, max_seconds: float, refusal: Text | None = None) -> None:
        self.max_waiting, self.max_seconds, self.refusal = max_waiting, max_seconds, refusal
        self._lines: dict[object, _Line] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def held(self, limit: int, key: object = None) -> Iterator[bool]:
        """Hold a slot; the value is whether it had to be waited for. Raises TooOften if the queue is full or too slow.

        While it waits, the thread holds no connection to the database: a pool has fewer than a queue may need.
        """
        waited = self._take(limit, key)
        try:
            yield waited
        finally:
            self._give_back(key)

    def refuse_if_full(self, key: object = None) -> None:
        """Raise TooOften if there is no place in the queue: a look before any work is done."""
        with self._lock:
            line = self._lines.get(key)
            if line is not None and len(line.waiting) >= self.max_waiting:
                raise TooOften(1, self.refusal)

    def _take(self, limit: int, key: object) -> bool:
        with self._lock:
            line = self._lines.setdefault(key, _Line())
            if line.running < limit:
                line.running += 1
                return False
            if len(line.waiting) >= self.max_waiting:
                raise TooOften(1, self.refusal)
            turn = threading.Event()
            line.waiting.append(turn)
        _give_connections_back()
        if turn.wait(self.max_seconds):
            return True
        with self._lock:
            if not turn.is_set():
                line.waiting.remove(turn)
                raise TooOften(
                    1,
                    self.refusal or f"Earlier calls have run for {self.max_seconds:g} s: wait for their end.",
                )
        return True

    def _give_back(self, key: object) -> None:
        with self._lock:
            line = self._lines[key]
            if line.waiting:
                # Handed over, so that no newcomer overtakes those who wait.
                line.waiting.popleft().set()
                return
            line.running -= 1
            if not line.running:
                del self._lines[key]


def _give_connections_back() -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
