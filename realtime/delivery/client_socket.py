"""One live socket: how far it has come (its cursor), whether it is live or behind, and the way out to it."""

import asyncio
import enum
import logging
import types
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from typing import Any

from messaging import schemas
from realtime import counters, protocol
from realtime.auth import Login
from realtime.background import spawn
from realtime.conf import conf

from .backlog import Backlog
from .position import ResumeRequest, Step
from .socket_presence import SocketPresence

logger = logging.getLogger(__name__)

# For a socket that is to be closed: the time for what it was handed before, and then for the close frame.
FLUSH_SECONDS = 1.0

Send = Callable[[dict[str, Any]], Awaitable[None]]


class SyncState(enum.Enum):
    """Where a socket stands between the database and the live frames. The transitions are ClientSocket's methods."""

    # Waits for the recovery to read its inbox.
    BEHIND = enum.auto()
    # The recovery reads for it, or replays to it.
    CATCHING_UP = enum.auto()
    # Like CATCHING_UP, but recovery was requested meanwhile: a second catch-up follows.
    CATCHING_UP_TWICE = enum.auto()
    # Like CATCHING_UP, but frames below what was read were dropped with the backlog: the catch-up has to start again.
    OUTDATED = enum.auto()
    # Gets each revision as it comes.
    LIVE = enum.auto()
    # Its backlog overflowed and was dropped. Behind as soon as it takes data again.
    STALLED = enum.auto()
    # Terminal: no frame is sent.
    CLOSED = enum.auto()


_CLOSED = SyncState.CLOSED
_CATCHING_UP = frozenset({SyncState.CATCHING_UP, SyncState.CATCHING_UP_TWICE, SyncState.OUTDATED})


class ClientSocket:
    """Frames are handed over by `send`, which never waits: while the socket takes none, a bounded backlog holds them.

    `cursor` is the revision of the last frame handed over. When the backlog overflows, the inbox's frames in it are
    dropped, and the socket is behind once it takes data again: no other socket waits for it, and nothing is lost.
    Recovery drives the state from BEHIND to LIVE; everything else only calls `request_recovery`.
    """

    def __init__(
        self,
        login: Login,
        send: Send,
        request: ResumeRequest | None = None,
        *,
        enqueue: Callable[["ClientSocket"], None],
    ) -> None:
        """`request`: what the client asked for in the handshake. `enqueue`: puts the socket in the recovery's queue."""
        self.id = str(uuid.uuid4())
        self.login = login
        self.user_id = login.user_id
        self.state = SyncState.BEHIND
        # The position that the client has been brought to. Written by `send`, `reposition` and an overflow.
        self.cursor = 0
        self.unread_count = 0
        self.epoch: str | None = None
        # What the client asked for, until it has been served.
        self.request = request
        self.has_hello = False
        # Answers to a client that didn't wait for the hello.
        self._before_hello: list[str] = []
        self.presence = SocketPresence()
        # On the loop's clock. Written by the sweeps alone.
        self.heartbeat_due: float | None = None
        self.close_code: int | None = None
        # Done when the close frame has been handed over, or given up.
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enqueue = enqueue
        self._send = send
        self._writer: asyncio.Task[None] | None = None
        self._backlog = Backlog()

    # --- The state -------------------------------------------------------------------------------------------

    @property
    def is_live(self) -> bool:
        return self.state is SyncState.LIVE

    @property
    def is_catching_up(self) -> bool:
        return self.state in _CATCHING_UP

    @property
    def is_outdated(self) -> bool:
        return self.state is SyncState.OUTDATED

    @property
    def is_closing(self) -> bool:
        return self.state is SyncState.CLOSED

    @property
    def is_blocked(self) -> bool:
        """Whether a frame was handed over that the socket hasn't taken yet."""
        return self._writer is not None

    def request_recovery(self) -> None:
        """Have the socket brought up to date from the database. The only way to ask for that."""
        if self.state in (SyncState.LIVE, SyncState.BEHIND):
            self.state = SyncState.BEHIND
            self._enqueue(self)
        elif self.state is SyncState.CATCHING_UP:
            self.state = SyncState.CATCHING_UP_TWICE
        # A stalled socket asks by itself when it takes data again, and an outdated catch-up starts again anyhow.

    def resume(self, request: ResumeRequest) -> None:
        """Have a live socket caught up from where its client says it is."""
        self.request = request
        self.request_recovery()

    def begin_catch_up(self) -> bool:
        """BEHIND → CATCHING_UP. Returns whether the socket was behind."""
        if self.state is not SyncState.BEHIND:
            return False
        self.state = SyncState.CATCHING_UP
        self.presence.forget_held()
        return True

    def restart_catch_up(self) -> None:
        """CATCHING_UP or OUTDATED → BEHIND: what was read for the socket is of no use to it."""
        if self.is_catching_up:
            self.state = SyncState.BEHIND
            self._enqueue(self)

    def finish_catch_up(self, end: protocol.SyncedFrame | protocol.ResetFrame) -> None:
        """CATCHING_UP → LIVE, or BEHIND if that was asked for meanwhile: send the frame that closes the catch-up."""
        once_more = self.state is SyncState.CATCHING_UP_TWICE
        self.state = SyncState.LIVE
        self.request = None
        self.send(end.encode(), end)
        if once_more:
            self.request_recovery()

    def reposition(self, revision: int, epoch: str) -> None:
        """Take what the client holds as the socket's position: the catch-up goes on from there."""
        self.cursor, self.epoch = revision, epoch

    # --- Sending ---------------------------------------------------------------------------------------------

    def send(self, text: str, step: Step | None = None) -> None:
        """Hand over a frame, and with it a step of the inbox, without waiting."""
        if self.state is _CLOSED:
            return
        if self._writer is not None:
            self._queue(text, step)
            return
        if step is not None:
            self.cursor, self.unread_count = step.revision, step.unread_count
        counters.frames_sent += 1
        coroutine = self._send({"type": "websocket.send", "text": text})
        try:
            # Run it here: a socket that takes data never suspends, and a task for each frame would cost more
            # than the frame.
            waiting_for = coroutine.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return
        except Exception:
            # The client has gone; the consumer gets its disconnect by itself.
            self.abandon()
            return
        self._writer = spawn(self._write(_finish(coroutine, waiting_for)))

    def send_frame(self, frame: protocol.Frame) -> None:
        self.send(frame.encode())

    def send_hello(self, hello: protocol.HelloFrame, online: Iterable[schemas.Presence]) -> None:
        """Send the two frames that every connection begins with, and then what was held back for them."""
        self.send_frame(hello)
        self.has_hello = True
        for text in (*self.presence.begin(online), *self._before_hello):
            self.send(text)
        self._before_hello.clear()

    def send_after_hello(self, text: str) -> None:
        if self.has_hello:
            self.send(text)
        else:
            self._before_hello.append(text)

    def abandon(self, code: int = 1006) -> None:
        """The socket is gone: hand over nothing more."""
        self.state = SyncState.CLOSED
        self.close_code = self.close_code or code

    def close(self, code: int, reason: str = "") -> None:
        """Close the socket after what was handed over before, and hand over nothing more."""
        if not self.is_closing:
            self.state = SyncState.CLOSED
            self.close_code = code
            spawn(self._close(code, reason))

    async def drained(self) -> None:
        """Wait until the socket has taken everything."""
        while self._writer is not None:
            await asyncio.wait([self._writer])

    # --- The backlog -----------------------------------------------------------------------------------------

    def _queue(self, text: str, step: Step | None) -> None:
        if step is not None and self.state is SyncState.STALLED:
            return
        self._backlog.append(text, step)
        if self._backlog.is_full:
            self._overflow()
        elif step is not None:
            self.cursor, self.unread_count = step.revision, step.unread_count

    def _overflow(self) -> None:
        """Drop the inbox's frames: the recovery reads them again once the socket takes data."""
        counters.backlog_overflows.inc()
        revisions = self._backlog.drop_steps()
        if revisions:
            self.state = SyncState.OUTDATED if self.is_catching_up else SyncState.STALLED
            self.cursor = min(revisions) - 1
        if self._backlog.is_full:
            self.close(protocol.CloseCode.SLOW_CONSUMER, "too slow")

    async def _write(self, sending: Coroutine[Any, Any, None]) -> None:
        try:
            await self._within_slow_limit(sending)
            while self._backlog and not self.is_closing:
                counters.frames_sent += 1
                message = {"type": "websocket.send", "text": self._backlog.pop()}
                await self._within_slow_limit(self._send(message))
        except TimeoutError:
            self._writer = None
            self.close(protocol.CloseCode.SLOW_CONSUMER, "too slow")
        except Exception:
            self.abandon()
        finally:
            self._writer = None
        if self.state is SyncState.STALLED:
            self.state = SyncState.BEHIND
            self.request_recovery()

    async def _within_slow_limit(self, sending: Awaitable[None]) -> None:
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
            # Not even the close frame went out: the consumer ends, and the server closes the transport with it.
            named = {"connection": self.id, "error": error}
            logger.debug("connection %(connection)s ends without a close frame: %(error)r", named)
        self.closed.set_result(None)


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
