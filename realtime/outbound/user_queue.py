"""The relay's queue of users whose pending notifications need a revision. Not thread-safe: the relay holds a lock.

A multilevel feedback queue (https://en.wikipedia.org/wiki/Multilevel_feedback_queue): the event of one user waits for
one step at most of a broadcast to thousands, or of an inbox that fills faster than its rows are numbered.
"""

import time
from collections import OrderedDict
from collections.abc import Collection
from itertools import islice
from typing import Any

from messaging.sequencing import Step

# An event of more users is a broadcast.
MAX_FEW = 50
# How often, and for how long, a locked inbox is tried again. Its rows are then left to the sweep.
RETRY_SECONDS = 0.02
MAX_LOCKED_SECONDS = 1.0

# In the order of their turns. The value: whether the user has more rows than a step takes.
Level = OrderedDict[Any, bool]


class UserQueue:
    """Two levels and the users whose inbox another transaction holds, served by turns."""

    def __init__(self) -> None:
        self._few, self._many = Level(), Level()
        self._served = self._many
        # Whose turn is next: 0 few, 1 many, 2 locked.
        self._turn = 0
        # Since when (on the monotonic clock).
        self._locked: dict[Any, float] = {}
        self._retry_at = 0.0

    def __len__(self) -> int:
        return len(self._few) + len(self._many) + len(self._locked)

    @property
    def pause(self) -> float:
        """How long there is no user to take although the queue isn't empty."""
        if self._few or self._many or not self._locked:
            return 0.0
        return max(0.0, self._retry_at - time.monotonic())

    def add(self, user_ids: Collection[Any]) -> None:
        """Add the users of one event."""
        for user_id in user_ids:
            # A user with a backlog keeps their turn: what they get is numbered with the backlog.
            if user_id in self._few or self._many.get(user_id):
                continue
            if len(user_ids) > MAX_FEW:
                self._many[user_id] = False
            else:
                self._many.pop(user_id, None)
                self._few[user_id] = False

    def take(self, limit: int) -> list[Any]:
        """Remove and return the users of the next step. `settle` is to be called after it."""
        for turn in (self._turn, self._turn + 1, self._turn + 2):
            self._turn = (turn + 1) % 3
            if turn % 3 == 2:
                # Not each time that it is due: a step may take longer than the pause between two attempts.
                now = time.monotonic()
                if self._locked and now >= self._retry_at:
                    self._retry_at = now + RETRY_SECONDS
                    return list(islice(self._locked, limit))
            elif level := (self._few, self._many)[turn % 3]:
                self._served = level
                return [level.popitem(last=False)[0] for _ in range(min(limit, len(level)))]
        return []

    def settle(self, taken: Collection[Any], step: Step) -> list[Any]:
        """Take back those who need another step. Returns those whose inbox has been locked for too long."""
        now = time.monotonic()
        since = {user_id: self._locked.pop(user_id, now) for user_id in taken}
        for user_id in reversed(step.unserved):
            self._served.setdefault(user_id, False)
            self._served.move_to_end(user_id, last=False)
        for user_id in step.unfinished:
            self._few.pop(user_id, None)
            self._many[user_id] = True
        given_up = [user_id for user_id in step.locked if now - since[user_id] > MAX_LOCKED_SECONDS]
        self._locked |= {user_id: since[user_id] for user_id in step.locked if user_id not in given_up}
        return given_up
