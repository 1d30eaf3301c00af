"""One deployment a test: a database with users, a channel layer, and the server processes that share them."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from .client import Person
from .servers import Database, Server, Shell, base_environment, find_faults, manage

SERVER_DATABASE = os.environ.get("DATABASE_URL", "")
ON_POSTGRESQL = SERVER_DATABASE.startswith("postgres")
WITH_REDIS = bool(os.environ.get("REDIS_URL"))

# Tests that need several processes, or a PostgreSQL and a Redis to break, are collected only where these are.
collect_ignore_glob = [] if ON_POSTGRESQL and WITH_REDIS else ["test_*_services.py"]

logging.getLogger("httpx").setLevel(logging.WARNING)

# On a busy machine the sweep may deliver before the push does. Tests of the push run without the sweep.
NO_SWEEP = {"REALTIME_SWEEP_SECONDS": "3600"}

BOOKKEEPING = ("messaging_message", "messaging_notification", "messaging_inbox", "messaging_contact")


class Deployment:
    """A database, a channel layer, servers, and users with a login: each test has its own."""

    def __init__(self, database: Database, folder: Path, environment: dict[str, str]) -> None:
        self.database = database
        self.folder = folder
        self.environment = database.environment(environment)
        self.with_redis = "REDIS_URL" in environment
        self.servers: list[Server] = []
        self._shells: list[Shell] = []
        self._persons: list[Person] = []
        self._logs: dict[Path, int] = {}
        # Faults that a test causes on purpose: texts of their log records.
        self.expected_faults: tuple[str, ...] = ()

    # --- Processes ----------------------------------------------------------------------------------------

    def prepare(self, kind: str = "serve", **environment: str) -> Server:
        """A server that hasn't been started."""
        log = self.folder / f"{self.environment['REALTIME_PREFIX']}-{len(self.servers)}-{kind}.log"
        log.touch()
        server = Server(kind, self.environment | environment, log)
        self.servers.append(server)
        self._logs[log] = 0
        return server

    async def start(self, kind: str = "serve", **environment: str) -> Server:
        return await asyncio.to_thread(self.prepare(kind, **environment).start)

    async def start_two(self, **environment: str) -> tuple[Server, Server]:
        one, other = await asyncio.gather(self.start(**environment), self.start(**environment))
        return one, other

    async def manage(self, *arguments: str) -> str:
        return await asyncio.to_thread(manage, self.environment, *arguments)

    def shell(self, code: str) -> Shell:
        """Start a `manage.py shell -c` that the test exchanges lines with."""
        shell = Shell(self.environment, code)
        self._shells.append(shell)
        return shell

    async def check_inboxes(self) -> None:
        await self.manage("check_inboxes", "--pending-seconds", "0")

    # --- People -------------------------------------------------------------------------------------------

    def person(self, server: Server) -> Person:
        """A user that no other test has used, signed in."""
        return self._at(server, **self.database.people.pop(0))

    def people(self, server: Server, count: int) -> list[Person]:
        return [self.person(server) for _ in range(count)]

    def at_server(self, person: Person, server: Server) -> Person:
        """The same user with the same login at another server."""
        return self._at(server, id=person.id, username=person.username, session=person.session)

    def account(self, server: Server, number: int) -> Person:
        """The user with this number, always the same one."""
        return self._at(server, **self.database.people[number])

    def anonymous(self, server: Server) -> Person:
        return self._at(server)

    def _at(self, server: Server, **account: Any) -> Person:
        person = Person(server.url, **account)
        self._persons.append(person)
        return person

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of the domain's tables."""
        return self.database.contents(*BOOKKEEPING)

    # --- The end ------------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Close every socket and check the logs."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self.check_logs)
            for person in self._persons:
                stack.push_async_callback(person.close)
        self._persons.clear()

    def check_logs(self) -> None:
        found = find_faults(self._logs.items(), self.expected_faults)
        self._logs = {path: path.stat().st_size for path in self._logs}
        assert not found, f"a server logged a fault: {found}"

    def close(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self.database.drop)
            for server in self.servers:
                stack.callback(server.kill)
            for shell in self._shells:
                stack.callback(shell.kill)


class DeploymentFactory:
    """Makes deployments, from one template database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = base_environment(folder / "bytecode")
        self.template = Database.template(folder, SERVER_DATABASE if ON_POSTGRESQL else "", self.environment)
        self._count = 0

    def make(self, **environment: str) -> Deployment:
        self._count += 1
        # User ids are the same in every database: the prefix keeps deployments from receiving each other's messages.
        prefix = f"live{os.getpid()}-{self._count}"
        return Deployment(
            self.template.copy(self.folder),
            self.folder,
            {**self.environment, "REALTIME_PREFIX": prefix, **environment},
        )

    def close(self) -> None:
        self.template.drop()


@pytest.fixture(scope="session")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeploymentFactory]:
    made = DeploymentFactory(tmp_path_factory.mktemp("live"))
    yield made
    made.close()


@pytest.fixture
async def deployment(deployments: DeploymentFactory) -> AsyncIterator[Deployment]:
    """A deployment without servers: for tests that stop or kill those they start."""
    made = deployments.make()
    try:
        yield made
        await made.finish()
    finally:
        made.close()


@contextlib.contextmanager
def served(deployments: DeploymentFactory, **environment: str) -> Iterator[Deployment]:
    """A deployment with one server, for many tests."""
    made = deployments.make()
    try:
        made.prepare(**environment).start()
        yield made
        assert made.servers[0].stop() == 0, "the shared server ended badly"
        made.check_logs()
    finally:
        made.close()


@pytest.fixture(scope="session")
def shared_deployment(deployments: DeploymentFactory) -> Iterator[Deployment]:
    with served(deployments) as made:
        yield made


@pytest.fixture(scope="session")
def shared_push_only(deployments: DeploymentFactory) -> Iterator[Deployment]:
    with served(deployments, **NO_SWEEP) as made:
        yield made


@pytest.fixture
async def shared(shared_deployment: Deployment) -> AsyncIterator[Deployment]:
    """A deployment with a running server: for tests that leave it as it is, and use new users."""
    yield shared_deployment
    await shared_deployment.finish()


@pytest.fixture
async def push_only(shared_push_only: Deployment) -> AsyncIterator[Deployment]:
    """As `shared`, but its server never sweeps: what arrives was pushed."""
    yield shared_push_only
    await shared_push_only.finish()


@pytest.fixture
def for_external_writes(shared: Deployment, push_only: Deployment) -> Deployment:
    """For commits of other processes: Redis carries their pushes; with the in-memory layer only the sweep delivers."""
    return push_only if WITH_REDIS else shared
