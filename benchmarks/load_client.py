"""The load client: thousands of WebSockets in one process, driven by lines of JSON on stdin, answered on stdout.

It looks for markers (`#17#`) in what it receives and parses nothing else: it must need less CPU than any server.
"""

import asyncio
import base64
import json
import os
import re
import struct
import sys
import time
from typing import Any

import uvloop

MARKER = re.compile(rb"#(\d+)#")
READY = {
    "doorbell": re.compile(rb'"type":"(synced|reset)"'),
    "socketio": re.compile(rb"40\{"),
}
PATHS = {
    "doorbell": "/ws/notifications/?since=0",
    "stock": "/ws/plain/{user}/",
    "stock-login": "/ws/login/",
    "socketio": "/socket.io/?EIO=4&transport=websocket&user={user}",
}


class Recorder:
    """What all sockets have received since the last `reset`."""

    def __init__(self) -> None:
        self.reset(keep_times=False)

    def reset(self, *, keep_times: bool) -> None:
        self.keep_times = keep_times
        self.count = 0
        self.last = 0.0
        self.arrivals: list[tuple[int, float]] = []

    def take(self, data: bytes) -> None:
        marks = data.count(b"#") // 2
        if marks:
            self.count += marks
            self.last = time.monotonic()
            if self.keep_times:
                self.arrivals += [(int(number), self.last) for number in MARKER.findall(data)]


class Socket(asyncio.Protocol):
    def __init__(self, kind: str, request: bytes, recorder: Recorder) -> None:
        self.kind, self.request, self.recorder = kind, request, recorder
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.opened = False
        self.tail = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.write(self.request)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(error or ConnectionError("closed before it was ready"))

    def data_received(self, data: bytes) -> None:
        if self.tail:
            data, self.tail = self.tail + data, b""
        start = 0
        if not self.opened:
            start = data.find(b"\r\n\r\n") + 4
            if start < 4:
                self.tail = data
                return
            if b" 101 " not in data[:16]:
                self.ready.set_exception(ConnectionError(data[:60].decode("latin-1")))
                self.transport.abort()
                return
            self.opened = True
            if self.kind not in READY:
                self.ready.set_result(None)
        end = self._frames(data, start)
        self.tail = data[end:]
        whole = data[start:end]
        if not self.ready.done() and READY[self.kind].search(whole):
            self.ready.set_result(None)
        self.recorder.take(whole)

    def _frames(self, data: bytes, start: int) -> int:
        """Answer what asks for an answer. Returns where the last whole frame ends."""
        size = len(data)
        while size - start >= 2:
            length, body = data[start + 1], start + 2
            if length == 126:
                body += 2
                length = int.from_bytes(data[body - 2 : body]) if size >= body else size
            elif length == 127:
                body += 8
                length = int.from_bytes(data[body - 8 : body]) if size >= body else size
            if size < body + length:
                break
            opcode = data[start] & 0x0F
            if opcode == 9:
                self._send(data[body : body + length], opcode=10)
            elif opcode == 8:
                self.transport.close()
            elif self.kind == "socketio":
                self._answer_socketio(data[body : body + length])
            start = body + length
        return start

    def _answer_socketio(self, payload: bytes) -> None:
        if payload[:1] == b"0":
            self._send(b"40")
        elif payload == b"2":
            self._send(b"3")

    def _send(self, payload: bytes, opcode: int = 1) -> None:
        # A mask of zeros is a valid mask, and leaves the payload as it is.
        self.transport.write(struct.pack("!BBI", 0x80 | opcode, 0x80 | len(payload), 0) + payload)


class LoadClient:
    def __init__(self) -> None:
        self.recorder = Recorder()
        self.sockets: list[Socket] = []

    async def open(self, kind: str, port: int, people: list[list[Any]], at_once: int) -> dict[str, Any]:
        """Open a socket for each of these [user, session]. Returns how long it took until each was up to date."""
        places = asyncio.Semaphore(at_once)
        failures: list[str] = []
        took: list[float] = []
        cpu, began = time.process_time(), time.monotonic()

        async def one(user: Any, session: str) -> None:
            async with places:
                start = time.monotonic()
                try:
                    async with asyncio.timeout(120):
                        self.sockets.append(await self._connect(kind, port, user, session))
                except (OSError, TimeoutError) as error:
                    failures.append(repr(error))
                took.append(time.monotonic() - start)

        await asyncio.gather(*(one(user, session) for user, session in people))
        seconds = time.monotonic() - began
        return {
            "opened": len(people) - len(failures),
            "failed": len(failures),
            "failure": failures[0] if failures else "",
            "seconds": seconds,
            "slowest": max(took, default=0.0),
            "cpu": (time.process_time() - cpu) / seconds,
        }

    async def _connect(self, kind: str, port: int, user: Any, session: str) -> Socket:
        request = (
            f"GET {PATHS[kind].format(user=user)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Origin: http://127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            + ("Sec-WebSocket-Protocol: notifications.v1\r\n" if kind == "doorbell" else "")
            + f"Cookie: sessionid={session}\r\n\r\n"
        ).encode()
        _, socket = await asyncio.get_running_loop().create_connection(
            lambda: Socket(kind, request, self.recorder), "127.0.0.1", port
        )
        try:
            await socket.ready
        except BaseException:
            socket.transport.abort()
            raise
        return socket

    async def record(self, keep_times: bool) -> dict[str, Any]:
        self.recorder.reset(keep_times=keep_times)
        self._cpu, self._began = time.process_time(), time.monotonic()
        return {}

    async def collect(self, count: int, seconds: float) -> dict[str, Any]:
        """Wait until so many markers have arrived, or nothing does any more for so long."""
        cpu = self._share()
        while self.recorder.count < count:
            since = max(self.recorder.last, self._began)
            if time.monotonic() - since > seconds:
                break
            await asyncio.sleep(0.02)
            cpu = max(cpu, self._share())
        return {
            "count": self.recorder.count,
            "last": self.recorder.last,
            "arrivals": self.recorder.arrivals,
            "cpu": cpu,
        }

    def _share(self) -> float:
        """The share of a core since `record`."""
        return (time.process_time() - self._cpu) / max(time.monotonic() - self._began, 1e-3)

    async def close(self) -> dict[str, Any]:
        for socket in self.sockets:
            socket.transport.abort()
        self.sockets.clear()
        return {}


async def main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    client = LoadClient()
    while line := await reader.readline():
        command = json.loads(line)
        answer = await getattr(client, command.pop("do"))(**command)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
