"""What both connection protocols need: an answer outside of the application, and the end of a connection at once."""

import asyncio
import socket
import struct

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

NO_LINGER = struct.pack("ii", 1, 0)


def plain_response(status: int, text: str) -> bytes:
    head = (
        f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[status] + head.encode() + text.encode()


def reset(transport: asyncio.Transport) -> None:
    """Close at once, with a TCP reset: without it the kernel keeps what the client hasn't read for minutes."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    transport.abort()
