"""Honest people beside an attack: what they notice of it, and what the servers' processes use meanwhile.

They write to each other over HTTP, and their pages are the run's readers: the checker judges what those received. Here
are the times of other calls, who was shown offline at another server, and memory, threads and files of the servers.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import httpx

from tests.live.client import CSRF
from tests.live.servers import Server

from . import faults, raw_websocket
from .checker import percentile

HELLO_SECONDS = 20.0
SAMPLE_SECONDS = 0.2


class Canary:
    """Calls the API and opens sockets at `port`, asks the first server for /healthz, and the last one for presence."""

    def __init__(
        self,
        people: Sequence[dict[str, Any]],
        visitors: Sequence[dict[str, Any]],
        port: int,
        servers: Sequence[Server],
    ) -> None:
        self.people, self.visitors, self.port, self.servers = people, visitors, port, servers
        self.calls: list[float] = []
        self.hellos: list[float] = []
        self.probes: list[float] = []
        # Calls and handshakes that weren't answered as they should be, by what came instead.
        self.failures: list[str] = []
        # Users who were shown offline.
        self.offline: set[int] = set()
        self.most_rss = [server.rss() for server in servers]
        self.most_threads = self.most_files = self.stored = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._http = httpx.AsyncClient(timeout=30, trust_env=False, verify=False)
        self._opened = 0

    def start(self) -> None:
        for work, pause in (
            (self._call, 0.1),
            (self._hello, 0.3),
            (self._probe, 0.1),
            (self._watch, 0.5),
            (self._sample, SAMPLE_SECONDS),
        ):
            self._tasks.append(asyncio.create_task(self._repeat(work, pause)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    async def _repeat(self, work: Callable[[], Coroutine[Any, Any, None]], pause: float) -> None:
        while True:
            try:
                await work()
            except (httpx.HTTPError, OSError) as error:
                self.failures.append(f"{work.__name__.strip('_')}: {type(error).__name__}")
            await asyncio.sleep(pause)

    async def _get(self, url: str, person: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"Connection": "close"}
        if person is not None:
            headers["Cookie"] = f"sessionid={person['session']}; csrftoken={CSRF}"
        answer = await self._http.get(url, headers=headers)
        if answer.status_code != 200:
            self.failures.append(f"{url.rpartition('/')[2].partition('?')[0]}: {answer.status_code}")
        return answer

    async def _call(self) -> None:
        person = self.people[len(self.calls) % len(self.people)]
        began = time.monotonic()
        await self._get(f"http://127.0.0.1:{self.port}/api/v1/notifications?limit=5", person)
        self.calls.append(time.monotonic() - began)

    async def _probe(self) -> None:
        began = time.monotonic()
        await self._get(f"{self.servers[0].url}/healthz")
        self.probes.append(time.monotonic() - began)

    async def _hello(self) -> None:
        self._opened += 1
        visitor = self.visitors[self._opened % len(self.visitors)]
        hello = asyncio.Event()
        began = time.monotonic()
        connection = await raw_websocket.connect(
            self.port, visitor["session"], "", lambda text: hello.set(), HELLO_SECONDS
        )
        with contextlib.closing(connection):
            async with asyncio.timeout(HELLO_SECONDS):
                await hello.wait()
        self.hellos.append(time.monotonic() - began)

    async def _watch(self) -> None:
        """Ask the last server, which isn't attacked, who is online, as a contact of all of them."""
        answer = await self._get(f"{self.servers[-1].url}/api/v1/presence", self.people[0])
        if answer.status_code == 200:
            self.offline |= {one["user"]["id"] for one in answer.json()["items"] if not one["is_online"]}

    async def _sample(self) -> None:
        self.most_rss = [
            max(most, server.rss()) for most, server in zip(self.most_rss, self.servers, strict=True)
        ]
        self.most_threads = max(self.most_threads, *(faults.threads(server.pid) for server in self.servers))
        self.most_files = max(self.most_files, *(faults.open_files(server.pid) for server in self.servers))
        self.stored = max(self.stored, *(faults.deleted_file_bytes(server.pid) for server in self.servers))

    def percentiles(self) -> dict[str, float]:
        """The p99 of each kind of call."""
        kinds = {"API": self.calls, "hello": self.hellos, "/healthz": self.probes}
        return {kind: percentile(seconds, 0.99) for kind, seconds in kinds.items()}
