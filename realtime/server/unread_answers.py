"""Answers that their client doesn't read: waited for with a limit, then the connection is reset. Sockets have 4001."""

import asyncio
import fcntl
import math
import struct
import termios
from collections import OrderedDict

from realtime.conf import conf

from .connections import reset

# How often it is looked whether the client has taken something, and for how long it may take nothing.
CHECK_SECONDS, IDLE_SECONDS = 5.0, 60.0
# How long the client may take for what the server holds of an answer, 64 KiB and a part.
TOTAL_SECONDS = 300.0

# Each holds a thread of Django's.
_watched: OrderedDict["UnreadAnswer", None] = OrderedDict()


class UnreadAnswer:
    """Of one connection. `watch` while the server holds something that the client is to take."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop, self._transport = loop, transport
        self._timer: asyncio.TimerHandle | None = None
        self._began_at = self._taken_at = 0.0
        self._left = math.inf

    def watch(self) -> None:
        # With nothing left in its buffer a closing transport ends by itself: of two hundred that end at once none is
        # given up, and no client finds its answer reset.
        if self._timer is None and self._transport.get_write_buffer_size():
            self._began_at = self._taken_at = self._loop.time()
            self._left = math.inf
            self._timer = self._loop.call_later(CHECK_SECONDS, self._check)
            _watched[self] = None
            if len(_watched) > conf.max_unread_answers:
                next(iter(_watched))._reset()

    def forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            _watched.pop(self, None)

    def _check(self) -> None:
        now, left = self._loop.time(), self._untaken()
        if left < self._left:
            self._left, self._taken_at = left, now
        if now - self._taken_at >= IDLE_SECONDS or now - self._began_at >= TOTAL_SECONDS:
            self._reset()
        else:
            self._timer = self._loop.call_later(CHECK_SECONDS, self._check)

    def _reset(self) -> None:
        self.forget()
        reset(self._transport)

    def _untaken(self) -> int:
        """The bytes that the client's machine hasn't acknowledged: the server's, and the kernel's."""
        queued = fcntl.ioctl(
            self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, struct.pack("i", 0)
        )
        return self._transport.get_write_buffer_size() + int(struct.unpack("i", queued)[0])
