"""uvicorn as `serve` runs it: who sends or takes too slowly is dropped, and a process told to stop drains first."""

import asyncio
import gc
import os
import signal
import socket
import struct
import sys
import time
from asyncio import TimerHandle
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from realtime import state
from realtime.delivery.drain import close_sockets
from realtime.delivery.hub import running_hub
from realtime.outbound import receivers
from realtime.presence.writer import presence_writer

# From the connection, or the first byte of a further request, to the end of its head; and then to that of its body.
HEAD_SECONDS, BODY_SECONDS = 10.0, 30.0
MOST_HEAD_BYTES = 64 * 1024
# How long sockets that were told to go may take to say goodbye.
GOODBYE_SECONDS = 3.0
# How long HTTP requests get to end, and then the last batch of presence, and then the last pushes.
REQUEST_SECONDS, PRESENCE_SECONDS, RELAY_SECONDS = 4, 4.0, 2.0
# `make` passes a SIGTERM on that its whole process group got already: that is one, not two.
SAME_SIGNAL_SECONDS = 0.3
NO_LINGER = struct.pack("ii", 1, 0)
# Made after start-up are mostly sockets, which stay, and frames, and neither leaves a cycle behind. Requests may: with
# a first threshold of 50,000 what was left grew to some 20 MB before anybody looked.
GC_THRESHOLD = (10_000, 20, 20)


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's, but nothing that a client sends leaves a traceback, and its end waits for no client."""

    _ending: TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Origins are auth.py's: two are refused there with 403, not with 400, and with a ticket none is looked at.
        self.conn.process_origin = lambda headers: None  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # A head that uvicorn's HTTP could read, but its WebSockets can't.
            self.handshake_initiated = True
            self.transport.write(_answer(431, "Request Header Fields Too Large"))
            self.transport.close()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                # (Its goodbye may have come in the same breath, and been answered.)
                if self.conn.state is State.OPEN:
                    self.conn.send_close(1007)
                    self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            # It goes behind what the client hasn't taken, instead of waiting for the client to take it.
            self.writable.set()
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            # Said in full; uvicorn would call it a handshake that was never completed.
            self.handshake_complete = True

    def keepalive_timeout(self) -> None:
        if not self.writable.is_set():
            # The ping waits behind what the client doesn't take. For that there is a limit, with a code of its own.
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self._end()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._end()

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ending is not None:
            self._ending.cancel()
        super().connection_lost(exc)
        # A generator of the connection's that holds the connection: only the collector would find the two.
        self.conn.parser.close()

    def _end(self) -> None:
        """Abort the transport in a while: closing it waits, without end, until the client has taken everything."""
        if self._ending is None and not self.disconnected:
            self._ending = self.loop.call_later(self.close_timeout, self.abort)

    def abort(self) -> None:
        """End it now, with a reset: what the client hasn't taken would stay in the kernel for minutes."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's, but a request must come within a time, and its head within a size."""

    _timer: TimerHandle | None = None
    _in_head = True
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        head_began_before = self._in_head
        super().data_received(data)
        if head_began_before and self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(431, "Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._expect(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._expect(BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._expect(None)
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._expect(None)
        super().handle_websocket_upgrade()
        # The two hold each other, and the transport: each socket would leave 30 objects to the collector.
        self.parser = None  # type: ignore[assignment]

    def _expect(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        self._refuse(408, "Request Timeout")

    def _refuse(self, status: int, why: str) -> None:
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            # Nothing else is being written.
            self.transport.write(_answer(status, why))
        self.transport.close()


def _answer(status: int, text: str) -> bytes:
    head = (
        f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[status] + head.encode() + text.encode()


class Server(uvicorn.Server):
    """A first SIGTERM or SIGINT drains, and the process ends with code 0. A second one ends it at once."""

    def __init__(self, config: uvicorn.Config, predrain_seconds: float, drain_seconds: float) -> None:
        super().__init__(config)
        self.predrain_seconds, self.drain_seconds = predrain_seconds, drain_seconds
        self._told_at = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            # What is here now stays: no collection need look at it again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLD)
            port = self.servers[0].sockets[0].getsockname()[1]
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            sys.stdout.write(f"Doorbell listens at http://{host}:{port}/  (Ctrl-C ends it)\n")
            sys.stdout.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not state.draining:
            self._told_at = time.monotonic()
            state.draining = self.should_exit = True
        elif time.monotonic() - self._told_at > SAME_SIGNAL_SECONDS:
            signal.signal(sig, signal.SIG_DFL)
            os.kill(os.getpid(), sig)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._drain()
        await super().shutdown(sockets=sockets)
        await asyncio.to_thread(presence_writer.stop, PRESENCE_SECONDS)
        await asyncio.to_thread(receivers.flush, RELAY_SECONDS)

    async def _drain(self) -> None:
        # readyz says 503 by now, and handshakes are refused. Who asks gets the time to hear it.
        await _until(lambda: not self.server_state.connections, self.predrain_seconds)
        for listening in self.servers:
            listening.close()
        for connection in list(self.server_state.connections):
            if not isinstance(connection, SocketProtocol):
                connection.shutdown()
        if self._sockets():
            await close_sockets(running_hub(), self.drain_seconds)
            await _until(lambda: not self._sockets(), GOODBYE_SECONDS)
            for left in self._sockets():
                left.abort()

    def _sockets(self) -> list[SocketProtocol]:
        return [known for known in self.server_state.connections if isinstance(known, SocketProtocol)]


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds, or the time is over."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110  # uvicorn announces nothing
        await asyncio.sleep(0.05)
