"""uvicorn's WebSocket protocol, with limits on time and size, for clients that stall or send malformed bytes.

Written against the internals of uvicorn 0.54: each override names the upstream behaviour that it works around, so that
it can be deleted when upstream has changed. What the process does as a whole (signals, drain) is in server.py.
"""

from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import State

from .connections import plain_response, reset
from .inbound import Inbound

# What docs/protocol.md allows, 60 frames of 4 KiB and then 5 a second, twice.
BYTES_PER_BURST = 512 * 1024
BYTES_PER_SECOND = 48 * 1024
# What a client may have sent before it saw the close frame. One that goes on is cut off.
MAX_BYTES_AFTER_CLOSE = 16 * 1024
# A message of 4 KiB in fragments of 16 bytes.
MAX_FRAGMENTS = 256


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol: a client's bytes cause no traceback, and closing doesn't wait for the client."""

    _abort_timer: TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Upstream: websockets answers 400 to two Origin headers, before the application is asked. realtime/auth.py
        # answers them with 403, and ignores the Origin of a handshake with a ticket.
        self.conn.process_origin = lambda headers: None  # type: ignore[method-assign]
        self._inbound = Inbound(
            self.loop,
            self._parse,
            self._pause_reading,
            self._resume_reading,
            bytes_per_second=BYTES_PER_SECOND,
            bytes_per_burst=BYTES_PER_BURST,
        )
        self._bytes_after_close = 0

    def data_received(self, data: bytes) -> None:
        """Upstream: all that arrives is parsed at once. A flood of control frames would stop the event loop."""
        self._inbound.receive(data)

    def _pause_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    async def receive(self) -> Any:
        """Upstream: resumes reading with each message that the application takes."""
        message = await super().receive()
        if self._inbound.is_waiting:
            self._pause_reading()
        return message

    def handle_cont(self, event: Frame) -> None:
        """Upstream: empty fragments of one message are gathered without bound."""
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        elif self.conn.state is State.OPEN:
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()

    def _parse(self, data: bytes) -> None:
        """Upstream: a head that httptools accepts and websockets rejects stays unanswered, and the connection open."""
        if self.close_sent:
            self._bytes_after_close += len(data)
            if self._bytes_after_close > MAX_BYTES_AFTER_CLOSE:
                self._inbound.close()
                self.abort()
                return
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.handshake_initiated = True
            self.transport.write(plain_response(431, "Request Header Fields Too Large"))
            self.transport.close()

    def send_receive_event_to_app(self) -> None:
        """Upstream: text that isn't UTF-8 is logged with a traceback, and raises if the client has closed already."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                # Not open any more if the client's close frame came in the same read, and has been answered.
                if self.conn.state is State.OPEN:
                    self.conn.send_close(1007)
                    self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    async def send(self, message: Any) -> None:
        """Upstream, three times: a close frame waits until the client has read what was sent before it; the headers of
        a handshake are kept while the socket is open; and a handshake refused with an HTTP response is logged as
        incomplete (https://github.com/Kludex/uvicorn/pull/3138).
        """
        kind = message["type"]
        if kind == "websocket.close":
            self.writable.set()
        await super().send(message)
        if kind == "websocket.send":
            return
        if self._inbound.is_waiting:
            # Upstream resumes reading when it closes.
            self._pause_reading()
        if kind == "websocket.accept":
            # (The application has its own, in the scope.)
            self.request.headers.clear()
            self.response.headers.clear()
        elif kind == "websocket.http.response.body":
            self.handshake_complete = True

    def keepalive_timeout(self) -> None:
        """Upstream: a client that reads slowly is closed as dead, while the ping is still in the server's buffer.

        REALTIME_SLOW_SECONDS is the limit for that, with a close code of its own.
        """
        if not self.writable.is_set():
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self._abort_later()

    def handle_parser_exception(self) -> None:
        """Upstream: see `_abort_later`."""
        super().handle_parser_exception()
        self._abort_later()

    async def run_asgi(self) -> None:
        """Upstream: see `_abort_later`."""
        await super().run_asgi()
        self._abort_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Upstream: websockets' parser is a generator that refers to its connection, a reference cycle per socket."""
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        self._inbound.close()
        super().connection_lost(exc)
        self.conn.parser.close()

    def _abort_later(self) -> None:
        """Upstream: `transport.close()` waits without limit until the client has read everything. Abort it in time."""
        if self._abort_timer is None and not self.disconnected:
            self._abort_timer = self.loop.call_later(self.close_timeout, self.abort)

    def abort(self) -> None:
        """Close at once, with a TCP reset: without it the kernel keeps what the client hasn't read for minutes."""
        reset(self.transport)
