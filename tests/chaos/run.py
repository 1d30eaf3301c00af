"""One run of a scenario: a database and a Redis of its own, servers, readers, writers, and their clean-up."""

import asyncio
import contextlib
import functools
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from tests.live.servers import ROOT, Database, Server, find_faults, manage
from tools.services import PostgresServer, RedisServer

from .checker import Verdict, check
from .clients import Reader, until
from .history import FinalState, History, ReaderLog, Row
from .testbed import ChaosServer, Testbed
from .writers import HttpWriter, OrmWriter

T = TypeVar("T")

# For a killed process: the lease, the reaper's interval and the grace; and what a loaded machine adds.
PRESENCE_SECONDS = 15 + 2 + 10 + 15
SETTLE_SECONDS = 60

# Faults that servers log because of what the scenarios do to them.
EXPECTED_FAULTS = (
    "channels_redis.pubsub: Unexpected exception in receive task",
    "realtime.delivery.hub: ignored a malformed message from the channel layer",
)


class Run:
    """The environment of one run. `clients` scales its numbers, `seed` decides its random choices."""

    def __init__(self, testbed: Testbed, name: str, clients: int, seed: int) -> None:
        self.testbed, self.name, self.clients = testbed, name, clients
        self.seed = f"{seed}-{name}"
        self.random = random.Random(self.seed)
        # SQLite goes with the in-memory layer.
        self.on_sqlite = False
        self.redis = RedisServer()
        self.history = History()
        self.servers: list[Server] = []
        self.readers: list[Reader] = []
        self.writers: list[HttpWriter | OrmWriter] = []
        self.expected_faults: tuple[str, ...] = EXPECTED_FAULTS

    @functools.cached_property
    def database(self) -> Database:
        template = self.testbed.sqlite_template if self.on_sqlite else self.testbed.template
        return template.copy(self.testbed.folder)

    @functools.cached_property
    def _people(self) -> Iterator[dict[str, Any]]:
        return iter(self.database.people)

    @property
    def postgresql(self) -> PostgresServer:
        return self.testbed.postgresql

    @functools.cached_property
    def environment(self) -> dict[str, str]:
        # No scenario tests the API's rate limit.
        environment = self.database.environment(self.testbed.environment) | {"API_RATE_LIMIT": "0"}
        if self.on_sqlite:
            return environment
        self.redis.start()
        return environment | {"REDIS_URL": self.redis.url}

    # --- Servers ------------------------------------------------------------------------------------------

    async def start(self, kind: str = "serve", **environment: str) -> Server:
        log = self.testbed.folder / f"{self.name}-{len(self.servers)}-{kind}.log"
        log.touch()
        server = ChaosServer(kind, self.environment | environment, log)
        self.servers.append(server)
        return await asyncio.to_thread(server.start)

    async def start_two(self, kind: str = "serve", **environment: str) -> tuple[Server, Server]:
        one = await self.start(kind, **environment)
        return one, await self.start(kind, **environment)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run blocking work, while the readers go on reading."""
        return await asyncio.to_thread(work)

    def ports(self) -> Sequence[int]:
        return [server.port for server in self.servers]

    # --- Readers and writers ------------------------------------------------------------------------------

    def take_people(self, count: int) -> list[dict[str, Any]]:
        """Take users that nothing else in this run uses."""
        return [next(self._people) for _ in range(count)]

    def start_readers(
        self, people: Sequence[dict[str, Any]], ports: Callable[[], Sequence[int]] | None = None
    ) -> list[Reader]:
        """Open a page for each of these."""
        started = []
        for person in people:
            log = ReaderLog(f"{person['username']}/{len(self.readers)}", person["id"])
            self.history.logs.append(log)
            rng = random.Random(f"{self.seed}-{log.name}")
            reader = Reader(log, person["session"], ports or self.ports, rng)
            reader.start()
            self.readers.append(reader)
            started.append(reader)
        return started

    async def start_live_readers(self, count: int, seconds: float = 120) -> list[dict[str, Any]]:
        """Take this many users, each with a page that is live."""
        people = self.take_people(count)
        readers = self.start_readers(people)
        await until(lambda: all(reader.live for reader in readers), seconds, f"{count} live readers")
        return people

    def start_http_writer(
        self,
        people: Sequence[dict[str, Any]],
        rate: float,
        ports: Callable[[], Sequence[int]] | None = None,
    ) -> HttpWriter:
        writer = HttpWriter(self.history, people, ports or self.ports, rate, f"{self.seed}-http")
        writer.start()
        self.writers.append(writer)
        return writer

    async def start_orm_writer(
        self, people: Sequence[dict[str, Any]], rate: float, **options: Any
    ) -> OrmWriter:
        environment = self.environment | options.pop("environment", {})
        users = [person["id"] for person in people]
        seed = f"{self.seed}-{len(self.writers)}"
        writer = OrmWriter(self.history, users, environment, rate=rate, seed=seed, **options)
        self.writers.append(writer)
        await writer.start()
        return writer

    async def stop_writers(self) -> None:
        writers, self.writers = self.writers, []
        await asyncio.gather(*(writer.stop() for writer in writers))

    # --- The end ------------------------------------------------------------------------------------------

    def final_state(self) -> FinalState:
        rows = self.database.read(
            "SELECT id, user_id, is_read, removed_at IS NOT NULL, message_id FROM messaging_notification"
        )
        inboxes = self.database.read("SELECT user_id, revision, unread_count FROM messaging_inbox")
        return FinalState(
            {pk: Row(user, bool(is_read), bool(gone), message) for pk, user, is_read, gone, message in rows},
            {user: (revision, unread) for user, revision, unread in inboxes},
        )

    def _revisions(self) -> dict[int, int] | None:
        """Each inbox's revision; None while rows are pending."""
        if self.database.read("SELECT 1 FROM messaging_notification WHERE pending_since IS NOT NULL LIMIT 1"):
            return None
        return dict(self.database.read("SELECT user_id, revision FROM messaging_inbox"))

    async def settle(self, seconds: float = SETTLE_SECONDS) -> float:
        """Wait until every reader is live and holds its inbox's revision; returns how long that took.

        The checker reports a reader that doesn't get there in time.
        """
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            revisions = await asyncio.to_thread(self._revisions)
            if revisions is not None and all(
                reader.log.left or (reader.live and reader.revision == revisions.get(reader.user, 0))
                for reader in self.readers
            ):
                break
            await asyncio.sleep(0.2)
        return time.monotonic() - began

    async def verdict(self, seconds: float = SETTLE_SECONDS) -> Verdict:
        """End the load, let the readers settle, and check the history."""
        await self.stop_writers()
        await self.settle(seconds)
        state = await asyncio.to_thread(self.final_state)
        found = await asyncio.to_thread(check, self.history, state)
        try:
            await asyncio.to_thread(manage, self.environment, "check_inboxes")
        except AssertionError as error:
            found.add_fault("wrong inbox", str(error))
        return found

    async def wait_for_true_presence(self, seconds: float = PRESENCE_SECONDS) -> float:
        """Wait until exactly the users with a socket are shown online; returns how long that took.

        Raises TimeoutError, which says for how many it isn't so.
        """
        began = time.monotonic()
        while True:
            here = {reader.user for reader in self.readers if reader.port}
            shown = await asyncio.to_thread(self.shown_online)
            if shown == here:
                return time.monotonic() - began
            if time.monotonic() - began > seconds:
                raise TimeoutError(
                    f"after {seconds:g} s {len(shown - here)} users without a socket are shown online,"
                    f" and {len(here - shown)} with a socket offline"
                )
            await asyncio.sleep(0.25)

    def shown_online(self) -> set[int]:
        return {
            user
            for (user,) in self.database.read("SELECT user_id FROM messaging_userprofile WHERE is_online")
        }

    def presence_versions(self) -> dict[int, int]:
        """How often each user's presence has changed."""
        return dict(self.database.read("SELECT user_id, version FROM messaging_userprofile"))

    def logged_faults(self) -> str:
        """The faults that our servers logged. (The tutorial's server is a control.)"""
        ours = [(server.log, 0) for server in self.servers if server.kind != "tutorial"]
        return find_faults(ours, self.expected_faults)

    async def close(self) -> None:
        for writer in self.writers:
            with contextlib.suppress(Exception):
                if isinstance(writer, OrmWriter):
                    writer.kill()
                await writer.stop()
        for reader in self.readers:
            if reader.socket is not None:
                reader.socket.transport.abort()
        await asyncio.gather(*(reader.stop() for reader in self.readers), return_exceptions=True)
        for server in self.servers:
            server.kill()
        self.redis.close()
        if "database" in vars(self):
            self.database.drop()


async def run_python(*arguments: str, environment: dict[str, str]) -> tuple[int, list[str]]:
    """Run a Python program of the project; returns its exit code and the lines that it printed."""
    return await run_program(sys.executable, *arguments, environment=environment)


async def run_program(
    *arguments: str, environment: dict[str, str], seconds: float = 400
) -> tuple[int, list[str]]:
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds):
            out, _ = await process.communicate()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    return process.returncode or 0, [line.strip() for line in out.decode().splitlines() if line.strip()]
