"""Who is measured: a server of ours, of another checkout or a peer's, with its database, load client and writers."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from tests.live.servers import ROOT, Server

from . import programs
from .cores import Cores, cpu_seconds, pinned
from .services import Database, DurablePostgres, run

Answer = dict[str, Any]
STALL_SECONDS = 60


@dataclass(frozen=True)
class Subject:
    """`kind`: doorbell, tutorial or socketio. `folder`: the checkout whose server and writers run."""

    name: str
    kind: str
    folder: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        uvicorn = ["-m", "uvicorn", "--port", "{port}", "--log-level", "warning", "--lifespan", "off"]
        return {
            "doorbell": ["manage.py", "serve", "--port", "{port}"],
            "tutorial": [*uvicorn, "benchmarks.peers.tutorial:application"],
            "socketio": [*uvicorn, "benchmarks.peers.socketio_server:application"],
        }[self.kind]

    @property
    def settings(self) -> Mapping[str, str]:
        module = "config.settings" if self.kind == "doorbell" else "benchmarks.peers.settings"
        return {"DJANGO_SETTINGS_MODULE": module, "REALTIME_PREFIX": self.name, **self.environment}


OURS = Subject("ours", "doorbell")
STOCK = Subject("stock", "tutorial")
NO_HOP = Subject("stock without its hop", "tutorial", environment={"WITHOUT_HOP": "1"})
SOCKETIO = Subject("python-socketio", "socketio")


class JsonProcess:
    """A process that answers lines of JSON with lines of JSON."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
    ) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self._input: IO[str] = self._process.stdin  # type: ignore[assignment]
        self._output: IO[str] = self._process.stdout  # type: ignore[assignment]
        self._log = log

    def send(self, line: Any) -> None:
        self._input.write(json.dumps(line) + "\n")
        self._input.flush()

    def read(self) -> str:
        line = self._output.readline()
        if not line:
            raise RuntimeError(f"a process ended:\n{self._log.read_text(errors='replace')[-3000:]}")
        return line

    def ask(self, do: str, **arguments: Any) -> Answer:
        self.send({"do": do, **arguments})
        answer: Answer = json.loads(self.read())
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


class BenchServer(Server):
    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path, folder: Path) -> None:
        super().__init__("bench", environment, log, folder)
        self.KINDS = {"bench": command}


class Contestant:
    """One subject with everything of its own. It takes its turns beside the others, and idles meanwhile."""

    def __init__(
        self,
        subject: Subject,
        postgres: DurablePostgres,
        environment: Mapping[str, str],
        cores: Cores,
        folder: Path,
        *,
        people: int,
        history: int = 0,
    ) -> None:
        self.subject, self.cores, self.folder = subject, cores, folder
        environment = {**environment, **subject.settings}
        database = f"bench_{subject.name.replace(' ', '_').replace('-', '_')}"
        self.database = Database.create(postgres, database, subject.folder, environment, people, history)
        self.environment = self.database.environment
        self.server: BenchServer
        self.clients: JsonProcess
        self.writers: list[JsonProcess] = []
        self._requester: JsonProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()
        self.database.drop()

    def start(self, *, watched: bool = False) -> None:
        """Start server and load client. `watched`: so that `longest_stall` can be asked for."""
        log = self.folder / f"{self.database.name}.log"
        folder, command, environment = self.subject.folder, self.subject.command, self.environment
        if watched:
            command = programs.command("watched", folder, str(self._stall_file), *command)[1:]
            environment = {**environment, **programs.environment()}
        self.server = BenchServer(command, environment, log, folder)
        with pinned(self.cores.server):
            self.server.start()
        self.clients = JsonProcess(
            [sys.executable, "-m", "benchmarks.load_client"],
            ROOT,
            self.environment,
            self.folder / "clients.log",
        )

    def stop(self) -> None:
        for process in (self.clients, *self.writers):
            process.end()
        if self._requester is not None:
            self._requester.end()
        self.writers.clear()
        self._requester = None
        self.server.kill()

    @property
    def users(self) -> list[Any]:
        return [user for user, _ in self.database.people]

    def open_sockets(self, count: int, *, each: int = 1, kind: str = "", at_once: int = 200) -> Answer:
        """Open `each` sockets of `count` users, and wait until all are up to date."""
        kind = kind or {"tutorial": "stock"}.get(self.subject.kind, self.subject.kind)
        people = self.database.people[:count] * each
        answer = self.clients.ask("open", kind=kind, port=self.server.port, people=people, at_once=at_once)
        if answer["failed"]:
            raise RuntimeError(f"{self.subject.name}: {answer['failed']} sockets failed: {answer['failure']}")
        return answer

    def writer(self, number: int) -> JsonProcess:
        while len(self.writers) <= number:
            self.writers.append(
                JsonProcess(
                    programs.command("writer", self.subject.folder),
                    self.subject.folder,
                    {**self.environment, **programs.environment()},
                    self.folder / "writers.log",
                )
            )
        return self.writers[number]

    def fill(self, rows: int) -> None:
        """Have the table of notifications filled up to so many rows, of people who aren't connected."""
        environment = {**self.environment, **programs.environment()}
        run(programs.command("fill", self.subject.folder, str(rows)), self.subject.folder, environment)

    @property
    def _stall_file(self) -> Path:
        return self.folder / f"{self.database.name}.stall"

    def longest_stall(self) -> float:
        """The longest stall of a watched server's event loop since the last call, in milliseconds."""
        self._stall_file.unlink(missing_ok=True)
        self.server.signal(signal.SIGUSR1)
        deadline = time.monotonic() + STALL_SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.05)
            if self._stall_file.exists() and (text := self._stall_file.read_text()):
                return float(text)
        raise RuntimeError(f"{self.subject.name} doesn't answer SIGUSR1")

    @property
    def requester(self) -> JsonProcess:
        """What sends messages over HTTP."""
        if self._requester is None:
            command = [sys.executable, "-m", "benchmarks.requester"]
            self._requester = JsonProcess(command, ROOT, self.environment, self.folder / "requester.log")
        return self._requester

    def server_cpu(self) -> float:
        return cpu_seconds(self.server.pid)
