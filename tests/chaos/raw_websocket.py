"""A WebSocket client for thousands of sockets in one process: just enough of RFC 6455, and no record of frames.

A library's client costs ten times the memory, and hides what a test wants: a reset, a pause, a raw byte.
"""

import asyncio
import base64
import os
import socket
import struct
from collections.abc import Callable

# The close code of a connection that ended without a close frame.
ABNORMAL = 1006


class HandshakeRefused(ConnectionError):
    """The handshake was answered with something other than 101."""


class RawWebSocket(asyncio.Protocol):
    """One socket. `on_text` gets each text frame's payload; `closed` becomes the close code."""

    def __init__(self, request: bytes, on_text: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[int] = loop.create_future()
        self._request, self._on_text = request, on_text
        self._buffer = bytearray()
        self._parts = bytearray()
        self._code = ABNORMAL
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(error or HandshakeRefused("closed during the handshake"))
        if not self.closed.done():
            self.closed.set_result(self._code)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done() and not self._handshake():
            return
        while self._frame():
            pass

    def _handshake(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        status = bytes(self._buffer[:end]).split(b"\r\n", 1)[0]
        del self._buffer[: end + 4]
        if b" 101 " not in status + b" ":
            self.opened.set_exception(HandshakeRefused(status.decode("latin-1")))
            self.transport.abort()
            return False
        self.opened.set_result(None)
        return True

    def _frame(self) -> bool:
        """Take one frame from the buffer. Returns whether there was a whole one."""
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        length, start = buffer[1] & 0x7F, 2
        if length >= 126:
            start, form = (4, "!H") if length == 126 else (10, "!Q")
            if len(buffer) < start:
                return False
            [length] = struct.unpack_from(form, buffer, 2)
        if len(buffer) < start + length:
            return False
        payload, first = bytes(buffer[start : start + length]), buffer[0]
        del buffer[: start + length]
        self._on_frame(first & 0x0F, bool(first & 0x80), payload)
        return True

    def _on_frame(self, opcode: int, final: bool, payload: bytes) -> None:
        if opcode in (0, 1):
            self._parts += payload
            if final:
                text, self._parts = bytes(self._parts), bytearray()
                self._on_text(text)
        elif opcode == 9:
            self.send(payload, opcode=10)
        elif opcode == 8:
            self._code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
            self.send(payload[:2], opcode=8)
            self.transport.close()

    def send(self, payload: bytes, *, opcode: int = 1) -> None:
        if self.transport.is_closing():
            return
        length = len(payload)
        head = bytes([0x80 | opcode, 0x80 | min(length, 126)])
        if length >= 126:
            head += struct.pack("!H", length)
        # A mask of zeros is a valid mask, and leaves the payload as it is.
        self.transport.write(head + b"\0\0\0\0" + payload)

    def close(self) -> None:
        """Send a close frame, as a page that is left does."""
        self._code = 1000
        self.send(struct.pack("!H", 1000), opcode=8)

    def reset(self) -> None:
        """Abort with a TCP reset."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


async def connect(
    port: int, session: str, query: str, on_text: Callable[[bytes], None], seconds: float = 20
) -> RawWebSocket:
    """Open a socket at 127.0.0.1. Raises HandshakeRefused for any answer but 101, other OSErrors, and TimeoutError."""
    request = (
        f"GET /ws/notifications/{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
        f"Sec-WebSocket-Protocol: notifications.v1\r\nCookie: sessionid={session}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        _, connection = await loop.create_connection(
            lambda: RawWebSocket(request.encode(), on_text), "127.0.0.1", port
        )
        try:
            await connection.opened
        except BaseException:
            connection.transport.abort()
            raise
    return connection
