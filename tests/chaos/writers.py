"""Writers that record every acknowledged write: messages over HTTP, and processes that write by the ORM."""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from tests.live.client import CSRF
from tests.live.servers import ROOT

from .history import History, Write


class HttpWriter:
    """Sends messages between people, so many a second, to whichever server takes them. Notes how long each took."""

    def __init__(
        self,
        history: History,
        people: Sequence[dict[str, Any]],
        ports: Callable[[], Sequence[int]],
        rate: float,
        seed: str,
    ) -> None:
        self.history, self.people, self.ports, self.rate = history, people, ports, rate
        # By status, or by the error without an answer.
        self.refused: Counter[str] = Counter()
        self._random = random.Random(seed)
        # Less than the server keeps an idle connection: it must not be closed in the moment of its use.
        limits = httpx.Limits(max_connections=100, keepalive_expiry=2)
        self._http = httpx.AsyncClient(timeout=15, trust_env=False, verify=False, limits=limits)
        self._task: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._sending:
            await asyncio.wait(self._sending)
        await self._http.aclose()

    async def _run(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + self._random.uniform(0.5, 1.5) / self.rate, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            # A server that hangs must not delay the next writes.
            if len(self._sending) < 100:
                sending = asyncio.create_task(self.send())
                self._sending.add(sending)
                sending.add_done_callback(self._sending.discard)

    async def send(self) -> None:
        sender, receiver = self._random.sample(self.people, 2)
        await self.send_to(sender, receiver)

    async def send_to(self, sender: dict[str, Any], receiver: dict[str, Any]) -> None:
        port = self._random.choice(self.ports())
        began = time.monotonic()
        write = Write(receiver["id"], "added", [], "unknown", began, began, by_message=True)
        try:
            answer = await self._http.post(
                f"http://127.0.0.1:{port}/api/v1/messages",
                json={"receiver": receiver["username"], "content": "Chaos"},
                headers={
                    "X-CSRFToken": CSRF,
                    "Cookie": f"sessionid={sender['session']}; csrftoken={CSRF}",
                },
            )
            if answer.status_code == 201:
                write.ids, write.outcome = [answer.json()["id"]], "ok"
            elif answer.status_code < 500:
                raise AssertionError(f"a message was refused: {answer.status_code} {answer.text[:300]}")
            else:
                self.refused[str(answer.status_code)] += 1
        except httpx.HTTPError as error:
            self.refused[type(error).__name__] += 1
        write.ended = time.monotonic()
        if write.outcome == "ok":
            self.history.saves.append((began, write.ended - began))
        self.history.writes.append(write)


class OrmWriter:
    """A process that writes by the ORM. See writer_process.py."""

    def __init__(
        self,
        history: History,
        users: Sequence[int],
        environment: Mapping[str, str],
        *,
        rate: float,
        seed: str,
        threads: int = 2,
        max_seconds: float = 0.05,
        changes: bool = True,
    ) -> None:
        self.history = history
        self.errors: list[str] = []
        config = {"users": list(users), "rate": rate, "seed": seed, "threads": threads}
        config |= {"max_seconds": max_seconds, "changes": changes}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.writer_process", json.dumps(config)],
            cwd=ROOT,
            env={"DJANGO_SETTINGS_MODULE": "config.settings", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # It reports failures on stdout; a connection pool logs too much while the database is down.
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when it has started to write."""
        self._task = asyncio.create_task(self._read())
        await asyncio.wait_for(self._ready.wait(), 60)

    async def stop(self) -> None:
        """Returns when the last write is recorded."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=60)
        self.kill()
        if self._task is not None:
            await self._task

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    async def _read(self) -> None:
        output = self._process.stdout
        assert output is not None
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
        try:
            while line := await reader.readline():
                self._on_line(line)
        finally:
            transport.close()
            self._ready.set()

    def _on_line(self, line: bytes) -> None:
        if line == b"ready\n":
            self._ready.set()
            return
        known = json.loads(line)
        if "error" in known:
            self.errors.append(known["error"])
        else:
            self.history.writes.append(Write(**known))
