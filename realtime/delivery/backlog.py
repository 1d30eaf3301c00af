"""Frames that a socket hasn't taken yet: in order, and bounded in number and memory."""

from sys import getsizeof
from typing import NamedTuple

from .position import Step

MAX_BACKLOG_FRAMES = 256
# Of memory: one emoji makes each character of a text four bytes.
MAX_BACKLOG_BYTES = 1024 * 1024


class _Item(NamedTuple):
    text: str
    step: Step | None


class Backlog:
    """A queue that reports when it is full, and leaves it to its owner what then goes."""

    def __init__(self) -> None:
        # A list: nearly all are empty, and an empty deque takes 760 bytes.
        self._items: list[_Item] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        return len(self._items) > MAX_BACKLOG_FRAMES or self._bytes > MAX_BACKLOG_BYTES

    def append(self, text: str, step: Step | None) -> None:
        self._items.append(_Item(text, step))
        self._bytes += getsizeof(text)

    def pop(self) -> str:
        """Remove the first frame."""
        text = self._items.pop(0).text
        self._bytes -= getsizeof(text)
        return text

    def drop_steps(self) -> list[int]:
        """Drop the inbox's frames, which can be read again (presence, say, can't). Returns their revisions."""
        revisions = [item.step.revision for item in self._items if item.step is not None]
        self._items = [item for item in self._items if item.step is None]
        self._bytes = sum(getsizeof(item.text) for item in self._items)
        return revisions
