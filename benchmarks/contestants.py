"""Who is measured: a server of ours, of another checkout or a peer's, with its database, load client and writers."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

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
        history: int,
        restarts: bool = True,
    ) -> None:
        """`restarts`: whether `renew` starts a fresh server. If not, the same one serves, watched, all the time."""
        self.restarts = restarts
        self.subject, self.cores, self.folder = subject, cores, folder
        self.people, self.history = people, history
        # Open sockets, and what the server was started with besides its usual environment.
        self.sockets = 0
        self.extra: Mapping[str, str] = {}
        environment = {**environment, **subject.settings}
        database = f"bench_{subject.name.replace(' ', '_').replace('-', '_')}"
        self.database = Database.create(postgres, database, subject.folder, environment, people, history)
        self.environment = self.database.environment
        self.clients = self._process("clients", [sys.executable, "-m", "benchmarks.load_client"], ROOT)
        # They stay when the server is started again.
        self.writers: list[JsonProcess] = []
        self._requester: JsonProcess | None = None
        self.server: BenchServer
        self.start(watched=not restarts)

    def _process(self, name: str, command: Sequence[str], folder: Path) -> JsonProcess:
        log = self.folder / f"{self.database.name}-{name}.log"
        return JsonProcess(command, folder, {**self.environment, **programs.environment()}, log)

    def close(self) -> None:
        self.stop()
        for process in (self.clients, *self.writers, *([self._requester] if self._requester else [])):
            process.end()
        self.database.drop()

    def prepare(self, *, connected: bool, extra: Mapping[str, str]) -> None:
        """Have the server run with this further environment, and each user have a socket if `connected`."""
        extra = extra if self.subject.kind == OURS.kind else {}
        wanted = self.people if connected else 0
        if extra != self.extra or self.sockets not in (0, wanted):
            self.renew(extra=extra)
        if self.sockets != wanted:
            self.open_sockets(wanted)

    def renew(self, *, watched: bool = False, extra: Mapping[str, str] | None = None) -> None:
        """Close all sockets, at a fresh server."""
        if self.restarts:
            self.stop()
            self.start(watched=watched, extra=extra)
        else:
            self.clients.ask("close")
            self.sockets = 0

    def start(self, *, watched: bool = False, extra: Mapping[str, str] | None = None) -> None:
        """Start the server. `watched`: so that `longest_stall` can be asked for."""
        self.extra, self.sockets = extra or {}, 0
        log = self.folder / f"{self.database.name}.log"
        folder, command = self.subject.folder, self.subject.command
        environment = {**self.environment, **self.extra}
        if watched:
            command = programs.command("watched", folder, str(self._stall_file), *command)[1:]
            environment = {**environment, **programs.environment()}
        self.server = BenchServer(command, environment, log, folder)
        with pinned(self.cores.server):
            self.server.start()

    def stop(self) -> None:
        self.clients.ask("close")
        self.server.kill()

    @property
    def users(self) -> list[Any]:
        return [user for user, _ in self.database.people]

    def open_sockets(self, count: int, *, each: int = 1, kind: str = "", at_once: int = 200) -> Answer:
        """Open `each` sockets of `count` users, and wait until all are up to date."""
        kind = kind or {"tutorial": "stock"}.get(self.subject.kind, self.subject.kind)
        people = self.database.people[:count] * each
        self.sockets += len(people)
        answer = self.clients.ask("open", kind=kind, port=self.server.port, people=people, at_once=at_once)
        if answer["failed"]:
            raise RuntimeError(f"{self.subject.name}: {answer['failed']} sockets failed: {answer['failure']}")
        return answer

    def writer(self, number: int) -> JsonProcess:
        while len(self.writers) <= number:
            folder = self.subject.folder
            self.writers.append(self._process("writers", programs.command("writer", folder), folder))
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
            self._requester = self._process("requester", command, ROOT)
        return self._requester

    def server_cpu(self) -> float:
        return cpu_seconds(self.server.pid)
