"""uvicorn's HTTP protocol: one request at a time, with limits on time and size for what comes in and what goes out.

Written against the internals of uvicorn 0.54: each override names the upstream behaviour that it works around, so that
it can be deleted when upstream has changed. A proxy in front usually has such limits; these are for processes that are
reached without one.
"""

import asyncio
from asyncio import TimerHandle
from functools import cache
from typing import Any, cast

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .connections import plain_response
from .inbound import Inbound
from .turns import BYTES_PER_TURN
from .unread_answers import UnreadAnswer

# HEAD: from the connection, or the first byte of a further request, to the end of its head. BODY: from there on.
HEAD_SECONDS, BODY_SECONDS = 10.0, 30.0
# A proxy answers 502 to a request for which it takes an idle connection in the moment in which it is closed here. So it
# must be the first to close it: nginx and Amazon's load balancers do after 60 s by default, Traefik after 90, Caddy
# after 120, Google's after 600. Of any other client uvicorn's 5 s are enough.
PROXY_IDLE_SECONDS = 620
MAX_HEAD_BYTES = 64 * 1024
# Of heads and of bodies in chunks; those of an announced length cost nothing to parse.
BYTES_PER_SECOND = BYTES_PER_BURST = 1024 * 1024
END_OF_HEAD = b"\r\n\r\n"


class HttpProtocol(HttpToolsProtocol):
    """A request is parsed when the answer to the one before it has been sent, so that pipelining costs no memory.

    Upstream: all requests that one read brings are parsed and kept, and no timeout covers the receipt of a request
    (https://github.com/Kludex/uvicorn/issues/157) or of its answer.
    """

    _timer: TimerHandle | None = None
    # Between requests; in the head of one; in its body.
    _in_request, _in_head = False, True
    _head_bytes = 0
    # What is still to come of a body whose length was announced.
    _announced_bytes = 0
    # The request that the application answers, or has answered last.
    _served: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        proxies = _trusted_proxies(cast("str", self.config.forwarded_allow_ips))
        if self.client is not None and self.client[0] in proxies:
            self.timeout_keep_alive = PROXY_IDLE_SECONDS
        self._inbound = Inbound(
            self.loop,
            self._parse,
            self._pause_reading,
            self._resume_reading,
            self._measure,
            bytes_per_second=BYTES_PER_SECOND,
            bytes_per_burst=BYTES_PER_BURST,
        )
        self.flow = _Flow(transport, self._inbound)
        self._unread = UnreadAnswer(self.loop, transport)
        self._expect_within(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_within(None)
        self._inbound.close()
        self._unread.forget()
        served, self._served = self._served, None
        if served is not None and served is not self.cycle and not served.response_complete:
            # Upstream: only of the request that was parsed last the application is notified.
            served.disconnected = True
            served.message_event.set()
        super().connection_lost(exc)

    # --- What comes in ---------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._inbound.receive(data)

    def _measure(self, waiting: bytes | bytearray) -> tuple[int, int]:
        """Where the next slice ends: no later than the present request, and before an answer at none."""
        if self._announced_bytes:
            return (0 if self.flow.read_paused else min(len(waiting), self._announced_bytes)), 0
        if not self._in_request:
            if self._served is not None and not self._served.response_complete:
                return 0, 0
            if self.transport.get_write_buffer_size():
                # A client that doesn't read is sent no more: `resume_writing` comes when the buffer is empty.
                self.transport.set_write_buffer_limits(0)
                return 0, 0
        # A head ends with an empty line, and so does a body in chunks.
        end = waiting.find(END_OF_HEAD, 0, BYTES_PER_TURN)
        size = min(len(waiting), BYTES_PER_TURN) if end < 0 else end + len(END_OF_HEAD)
        return size, size

    def _parse(self, data: bytes) -> None:
        if self.transport.is_closing():
            self._inbound.close()
            return
        began_in_body = self._in_request and not self._in_head
        super().data_received(data)
        if self._in_head and not began_in_body and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, "Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_request = self._in_head = True
        self._head_bytes = 0
        self._expect_within(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._expect_within(BODY_SECONDS)
        # (The parser refuses a second one, and one beside a Transfer-Encoding.)
        self._announced_bytes = next(
            (int(value) for name, value in self.headers if name == b"content-length"), 0
        )
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._announced_bytes:
            self._announced_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_request, self._announced_bytes = False, 0
        self._expect_within(None)
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Upstream: parser and protocol refer to each other, and to the transport: 30 objects in cycles per socket."""
        self._expect_within(None)
        self._inbound.close()
        self._resume_reading()
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment]

    def _pause_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self.flow.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _expect_within(self, seconds: float | None) -> None:
        """Restart the timer, for the next part of the request; None: no part is awaited."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._time_out)

    def _time_out(self) -> None:
        self._refuse(408, "Request Timeout")

    def _refuse(self, status: int, reason: str) -> None:
        if self._served is None or self._served.response_complete:
            # No other response is being written.
            self.transport.write(plain_response(status, reason))
        self._close()

    # --- What goes out ---------------------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._unread.watch()
        else:
            self._inbound.go_on()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._unread.forget()
            self.transport.set_write_buffer_limits()
            self._inbound.go_on()

    def timeout_keep_alive_handler(self) -> None:
        """Upstream: a client is idle that hasn't sent anything lately. Here it may have, and its answer isn't read."""
        if not self._inbound.is_waiting:
            self._close()

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self._unread.watch()

    def _close(self) -> None:
        """Upstream: `transport.close()` waits without limit until the client has read everything."""
        if not self.transport.is_closing():
            self.transport.close()
            self._unread.watch()


class _Flow(FlowControl):
    """Upstream: resumes reading whenever the application takes a part of the body. Here bytes may wait before that."""

    def __init__(self, transport: asyncio.Transport, inbound: Inbound) -> None:
        super().__init__(transport)
        self._inbound = inbound

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            super().pause_reading()

    def resume_reading(self) -> None:
        if not self.read_paused:
            return
        if self._inbound.is_waiting or self._transport.is_closing():
            self.read_paused = False
            self._inbound.go_on()
        else:
            super().resume_reading()


@cache
def _trusted_proxies(named: str) -> Any:
    """Return the addresses and networks in FORWARDED_ALLOW_IPS."""
    return ProxyHeadersMiddleware(None, trusted_hosts=named).trusted_hosts  # type: ignore[arg-type]
