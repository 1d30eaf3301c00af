"""Readers: pages of users, thousands in one event loop. Each resumes from its revision, reconnects, and logs all."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable, Sequence

import httpx

from tests.live.client import CSRF

from . import raw_websocket
from .history import Event, ReaderLog, frame_event
from .raw_websocket import RawWebSocket

FIRST_RETRY_SECONDS = 5.0
MAX_RETRY_SECONDS = 10.0
# From this close code on a client must not reconnect.
FIRST_FATAL_CODE = 4500
MAX_CONCURRENT_HANDSHAKES = 100


class Reader:
    """One page. It begins with an empty inbox (`since=0`), so that it knows nothing but what it was sent."""

    def __init__(
        self, log: ReaderLog, session: str, ports: Callable[[], Sequence[int]], rng: random.Random
    ) -> None:
        self.log = log
        self.revision = 0
        self.epoch = ""
        self.live = False
        # How often a handshake was answered with something other than 101.
        self.refused = 0
        self.socket: RawWebSocket | None = None
        # Where a load balancer would send it. A refused connect goes to the next one, as there.
        self.ports = ports
        self.retry_seconds = FIRST_RETRY_SECONDS
        self._session, self._random = session, rng
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._port = 0
        self._lists: set[asyncio.Task[None]] = set()

    @property
    def user(self) -> int:
        return self.log.user

    @property
    def port(self) -> int:
        """Where its socket is; 0 if it has none."""
        return self._port if self.socket is not None else 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Close the socket, as a user who closes the page does."""
        self._stopping = self.log.left = True
        if self._task is None:
            return
        if self.socket is not None:
            self.socket.close()
            await asyncio.wait({self._task}, timeout=2)
        self._task.cancel()
        await asyncio.wait({self._task})
        if self.socket is not None:
            self.socket.transport.abort()
            self.socket = None
        if not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        failures = 0
        while not self._stopping:
            self._record("attempt")
            if await self._connect():
                failures = 0
                assert self.socket is not None
                code = await self.socket.closed
                self.socket, self.live = None, False
                self._record("closed", code)
                if code >= FIRST_FATAL_CODE:
                    return
            if not self._stopping:
                # Full jitter. Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
                most = min(MAX_RETRY_SECONDS, self.retry_seconds * 2**failures)
                await asyncio.sleep(self._random.uniform(0, most))
            failures += 1

    async def _connect(self) -> bool:
        ports = list(self.ports())
        self._random.shuffle(ports)
        query = f"?since={self.revision}" + (f"&epoch={self.epoch}" if self.epoch else "")
        for port in ports:
            try:
                async with _handshakes():
                    self.socket = await raw_websocket.connect(port, self._session, query, self._on_text)
            except (OSError, TimeoutError) as error:
                self.refused += isinstance(error, raw_websocket.HandshakeRefused)
                continue
            self._port = port
            self._record("open", port)
            return True
        return False

    def _record(self, kind: str, number: int = 0) -> None:
        self.log.events.append(Event(time.monotonic(), kind, number=number))

    def _on_text(self, text: bytes) -> None:
        frame = json.loads(text)
        kind = frame["type"]
        if kind not in ("hello", "inbox", "synced", "reset", "presence"):
            return
        self.log.events.append(frame_event(frame, time.monotonic()))
        if kind == "hello":
            self.epoch = frame["epoch"]
        elif kind in ("inbox", "synced"):
            self.revision = frame["revision"]
            self.live = kind == "synced" or (self.live and not frame["replayed"])
        elif kind == "reset":
            self.revision, self.live = frame["revision"], False
            reading = asyncio.create_task(self._read_list(self._port))
            self._lists.add(reading)
            reading.add_done_callback(self._lists.discard)

    async def _read_list(self, port: int) -> None:
        items: dict[int, bool] = {}
        cookies = {"sessionid": self._session, "csrftoken": CSRF}
        try:
            async with httpx.AsyncClient(cookies=cookies, trust_env=False, verify=False, timeout=30) as http:
                before: str | None = ""
                while before is not None:
                    url = f"http://127.0.0.1:{port}/api/v1/notifications?limit=200{before}"
                    page = (await http.get(url)).raise_for_status().json()
                    items |= {item["id"]: item["is_read"] for item in page["items"]}
                    before = f"&before={page['next']}" if page["next"] else None
        except httpx.HTTPError:
            # Without the list its copy is unknown: it starts again from an empty one.
            self._record("restarted")
            self.revision, self.epoch = 0, ""
            if self.socket is not None:
                self.socket.reset()
        else:
            self.log.events.append(Event(time.monotonic(), "list", added=items))
            self.live = self.socket is not None


_limits: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


def _handshakes() -> contextlib.AbstractAsyncContextManager[None]:
    """Limit concurrent handshakes: this process shares two cores with the servers."""
    loop = asyncio.get_running_loop()
    return _limits.setdefault(loop, asyncio.Semaphore(MAX_CONCURRENT_HANDSHAKES))


async def until(condition: Callable[[], bool], seconds: float, what: str = "", pause: float = 0.05) -> float:
    """Wait until something holds; returns how long that took. Raises TimeoutError."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what or 'it'} didn't come within {seconds:g} s")
        await asyncio.sleep(pause)
    return time.monotonic() - began
