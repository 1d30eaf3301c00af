"""One live socket: how far it has come (its cursor), and the way out to it."""

import asyncio
import logging
import types
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from sys import getsizeof
from typing import Any

from messaging import schemas
from realtime import counters, protocol
from realtime.auth import Login
from realtime.background import spawn
from realtime.conf import conf

logger = logging.getLogger(__name__)

MOST_BACKLOG_FRAMES = 256
# Of memory: one emoji makes each character of a text four bytes.
MOST_BACKLOG_BYTES = 1024 * 1024
# How long a socket that is to be closed may take for what it was handed before, and for the close frame.
FLUSH_SECONDS = 1.0

Send = Callable[[dict[str, Any]], Awaitable[None]]
# What a client says it holds: (since, epoch), as given. None once it has been served.
Request = tuple[Any, str | None]
# (revision, unread_count) of an inbox.
Step = tuple[int, int]


class Connection:
    """A socket is `live`, and gets each revision as it comes, or behind, and waits for the hub's reader.

    `cursor` is the last revision handed to it. Frames are handed over by `send` without waiting; while the
    socket takes none they gather in a bounded backlog. On overflow the inbox's are dropped, and when the socket
    moves again it is behind: nobody else waits for it, and nothing is lost.
    """

    def __init__(self, login: Login, send: Send, since: Any, epoch: str | None) -> None:
        self.id = str(uuid.uuid4())
        self.login = login
        self.user_id = login.user.id
        self.cursor = 0
        self.unread_count = 0
        self.epoch: str | None = None
        self.live = False
        # Is the reader at it? Then a wish to be read is remembered until it is done.
        self.reading = False
        self.read_again = False
        self.greeted = False
        # Presence that became known before the greeting, and answers to a client that didn't wait for it.
        self._early: list[str] = []
        self.beat_at: float | None = None
        self.request: Request | None = None if since is None else (since, epoch)
        self.close_code: int | None = None
        # Set when the close frame has been handed over, or given up.
        self.closed = asyncio.Event()
        self.when_moving: Callable[[Connection], None] = lambda connection: None
        self._send = send
        self._writer: asyncio.Task[None] | None = None
        self._backlog: deque[tuple[str, Step | None]] = deque()
        self._backlog_bytes = 0
        self._overflowed = False

    @property
    def closing(self) -> bool:
        return self.close_code is not None

    @property
    def blocked(self) -> bool:
        """Is a frame on its way that the socket hasn't taken yet?"""
        return self._writer is not None

    def send(self, text: str, step: Step | None = None) -> None:
        """Hand over a frame, and with it a step of the inbox, without waiting."""
        if self.closing:
            return
        if self._writer is not None:
            self._queue(text, step)
            return
        if step is not None:
            self.cursor, self.unread_count = step
        counters.frames += 1
        coroutine = self._send({"type": "websocket.send", "text": text})
        try:
            # Run it here: a socket that takes data never suspends, and a task for each frame would cost more
            # than the frame.
            waiting_for = coroutine.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return
        except Exception:
            # The client has gone; the consumer hears of it by itself.
            self.abandon()
            return
        self._writer = spawn(self._write(_finish(coroutine, waiting_for)))

    def send_frame(self, frame: protocol.Frame) -> None:
        self.send(frame.encode())

    def greet(self, hello: protocol.HelloFrame, online: list[schemas.Presence]) -> None:
        """Send what comes first on every connection, and then what would have come before it."""
        self.send_frame(hello)
        self.send_frame(protocol.PresenceStateFrame(online=online))
        self.greeted = True
        for text in self._early:
            self.send(text)
        self._early.clear()

    def send_when_greeted(self, text: str) -> None:
        if self.greeted:
            self.send(text)
        else:
            self._early.append(text)

    def abandon(self, code: int = 1006) -> None:
        """The socket is gone: hand over nothing more."""
        self.close_code = self.close_code or code

    def close(self, code: int, reason: str = "") -> None:
        """Close the socket after what was handed over before, and hand over nothing more."""
        if not self.closing:
            self.close_code = code
            spawn(self._close(code, reason))

    async def drained(self) -> None:
        """Wait until the socket has taken everything."""
        while self._writer is not None:
            await asyncio.wait([self._writer])

    def _queue(self, text: str, step: Step | None) -> None:
        if self._overflowed and step is not None:
            return
        self._backlog.append((text, step))
        self._backlog_bytes += getsizeof(text)
        if self._backlog_is_full():
            self._overflow()
        elif step is not None:
            self.cursor, self.unread_count = step

    def _backlog_is_full(self) -> bool:
        return len(self._backlog) > MOST_BACKLOG_FRAMES or self._backlog_bytes > MOST_BACKLOG_BYTES

    def _overflow(self) -> None:
        """Drop the steps of the inbox: the reader brings them. What can't be read again, presence say, stays."""
        revisions = [step[0] for _, step in self._backlog if step is not None]
        if revisions:
            self.cursor = min(revisions) - 1
        self._overflowed = True
        self.live = False
        counters.overflows += 1
        self._backlog = deque((text, step) for text, step in self._backlog if step is None)
        self._backlog_bytes = sum(getsizeof(text) for text, _ in self._backlog)
        if self._backlog_is_full():
            self.close(protocol.CloseCode.SLOW_CONSUMER, "too slow")

    async def _write(self, sending: Coroutine[Any, Any, None]) -> None:
        try:
            await self._patiently(sending)
            while self._backlog and not self.closing:
                text, _ = self._backlog.popleft()
                self._backlog_bytes -= getsizeof(text)
                counters.frames += 1
                await self._patiently(self._send({"type": "websocket.send", "text": text}))
        except TimeoutError:
            self._writer = None
            self.close(protocol.CloseCode.SLOW_CONSUMER, "too slow")
        except Exception:
            self.abandon()
        finally:
            self._writer = None
        if self._overflowed and not self.closing:
            self._overflowed = False
            self.when_moving(self)

    async def _patiently(self, sending: Awaitable[None]) -> None:
        async with asyncio.timeout(conf.slow_seconds):
            await sending

    async def _close(self, code: int, reason: str) -> None:
        try:
            await asyncio.wait([spawn(self.drained())], timeout=FLUSH_SECONDS)
            if self._writer is not None:
                # It takes nothing: what waits is given up, and the close frame goes in its place.
                self._writer.cancel()
            async with asyncio.timeout(FLUSH_SECONDS):
                # Daphne takes nothing but a plain int.
                await self._send({"type": "websocket.close", "code": int(code), "reason": reason})
        except Exception as error:
            # Not even this: the consumer ends, and the server with it the transport.
            logger.debug("socket %s ends without a close frame: %s", self.id, error)
        self.closed.set()


@types.coroutine
def _finish(coroutine: Any, waiting_for: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that was started by hand and is waiting for something."""
    while True:
        try:
            value = yield waiting_for
        except BaseException as error:
            resume, argument = coroutine.throw, error
        else:
            resume, argument = coroutine.send, value
        try:
            waiting_for = resume(argument)
        except StopIteration:
            return
