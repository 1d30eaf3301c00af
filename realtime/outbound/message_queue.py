"""The relay's queue of messages for the channel layer, bounded in bytes. Not thread-safe: the relay holds a lock.

What is dropped here, the hubs find: by the gap that the next revision shows, or by the sweep.
"""

from collections import OrderedDict, deque
from sys import getsizeof

from .envelopes import GroupMessage

# Of memory, for one group and in all. A step of the relay makes up to six megabytes for one user.
MAX_GROUP_BYTES = 8 * 1024 * 1024
MAX_BYTES = 32 * 1024 * 1024
# A message without its frame: the envelope's dict, its texts and numbers. And those of one of many users.
ENVELOPE_BYTES, USER_BYTES = 1024, 256


def size_of(message: GroupMessage) -> int:
    """Return about how much memory a message takes."""
    frames = message.message.get("parts") or (message.message.get("frame"),)
    return ENVELOPE_BYTES + sum(map(getsizeof, frames)) + USER_BYTES * len(message.message.get("numbers", ()))


class _Group:
    """The messages of one group: first in, first out."""

    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.bytes = 0
        self.messages: deque[GroupMessage] = deque()


class MessageQueue:
    """Each group keeps its order; groups take turns, so that none waits for all that another one has queued."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, _Group] = OrderedDict()
        self._bytes = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, message: GroupMessage) -> int:
        """Add a message. Returns how many were dropped for it: the oldest of its group, or of the next in turn."""
        group = self._groups.setdefault(message.group, _Group())
        group.messages.append(message)
        self._count_in(group, message, 1)
        dropped = 0
        while group.bytes > MAX_GROUP_BYTES and len(group.messages) > 1:
            self._count_in(group, group.messages.popleft(), -1)
            dropped += 1
        while self._bytes > MAX_BYTES and self._count > 1:
            self._pop()
            dropped += 1
        return dropped

    def take(self, max_bytes: int) -> list[GroupMessage]:
        """Remove and return messages, one of each group in turn, until there are so many bytes."""
        taken: list[GroupMessage] = []
        ends = self._bytes - max_bytes
        while self._groups and self._bytes > ends:
            taken.append(self._pop())
        return taken

    def _pop(self) -> GroupMessage:
        """Remove the oldest message of the group whose turn it is."""
        name, group = self._groups.popitem(last=False)
        message = group.messages.popleft()
        self._count_in(group, message, -1)
        if group.messages:
            self._groups[name] = group
        return message

    def _count_in(self, group: _Group, message: GroupMessage, sign: int) -> None:
        group.bytes += sign * size_of(message)
        self._bytes += sign * size_of(message)
        self._count += sign
