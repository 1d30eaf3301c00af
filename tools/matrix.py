"""Runs the unit tests on every Python and Django that Doorbell supports, with the newest and the lowest dependencies
that pyproject.toml allows.

Pythons are those of this machine and, as root on Debian, that of a Debian 13 in .cache/matrix. Prints a table of the
runs' closing lines; their whole output is in .cache/matrix/*.log.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import debian
from tools.debian_root import DebianRoot

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "matrix"
# Django's versions, and the oldest Python of each.
DJANGOS = {"5.2": (3, 10), "6.0": (3, 12), "6.1": (3, 12)}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
RESOLUTIONS = {"newest": "highest", "lowest": "lowest-direct"}
DEBIAN, DEBIAN_PYTHON = "trixie", "3.13"
IN_DEBIAN = f"debian-{DEBIAN_PYTHON}"
UNITS = [f"--ignore=tests/{name}" for name in ("browser", "live", "chaos", "hosts")]
PERCENT = re.compile(r"\[ *(\d+)%\]$")
ENVIRONMENT = {"REQUIRE_ALL": "1", "PYTHONDONTWRITEBYTECODE": "1", "UV_PYTHON_DOWNLOADS": "never"}


@dataclass
class Run:
    python: str
    django: str
    dependencies: str
    interpreter: Path | None

    @property
    def name(self) -> str:
        return f"{self.python}-django{self.django}-{self.dependencies}"

    @property
    def version(self) -> str:
        return self.python.rpartition("-")[2]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.matrix", description=__doc__)
    parser.add_argument(
        "--python", nargs="+", metavar="P", choices=[*PYTHONS, IN_DEBIAN], help="of %(choices)s"
    )
    parser.add_argument("--django", nargs="+", metavar="D", choices=[*DJANGOS], help="of %(choices)s")
    parser.add_argument("--dependencies", nargs="+", choices=[*RESOLUTIONS], default=[*RESOLUTIONS])
    parser.add_argument(
        "--services", action="store_true", help="on PostgreSQL and Redis as well as on SQLite"
    )
    parser.add_argument(
        "--debian-root", type=Path, default=FOLDER / DEBIAN, metavar="FOLDER", help="one made before"
    )
    parser.add_argument("--list", action="store_true", help="only list what would run")
    parser.add_argument("pytest", nargs="*", help="after --: arguments for pytest instead of all unit tests")
    options = parser.parse_args(arguments)
    runs = [
        run
        for run in known_runs()
        if run.python in (options.python or [run.python])
        and run.django in (options.django or [run.django])
        and run.dependencies in options.dependencies
    ]
    if not runs:
        parser.error("no Python of this machine is among these: --list shows what there is")
    if options.list:
        print(*(run.name for run in runs), sep="\n")
        return 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    table, failed = [], False
    for number, run in enumerate(runs, 1):
        for services in (False, True) if options.services else (False,):
            name = f"{run.name}-{'services' if services else 'sqlite'}"
            print(f"{number}/{len(runs)} {name}: ", end="", flush=True)
            started = time.monotonic()
            code, line = tested(run, name, options, services)
            print(f"{line} ({time.monotonic() - started:.0f} s in all)", flush=True)
            table.append((name, line))
            failed = failed or code != 0
    width = max(len(name) for name, _ in table)
    print("", *(f"{name:{width}}  {line}" for name, line in table), sep="\n")
    return 1 if failed else 0


def known_runs() -> Iterator[Run]:
    found: dict[str, Path | None] = {**interpreters()}
    if debian.can_install():
        found[IN_DEBIAN] = None
    for python, interpreter in found.items():
        for django, oldest in DJANGOS.items():
            run = Run(python, django, "", interpreter)
            if tuple(map(int, run.version.split("."))) >= oldest:
                yield from (Run(python, django, dependencies, interpreter) for dependencies in RESOLUTIONS)


def interpreters() -> dict[str, Path]:
    """Return the machine's Pythons: those on the PATH, and what pyenv has installed."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    folders += sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin"))
    found: dict[str, Path] = {}
    for version in PYTHONS:
        for folder in folders:
            path = folder / f"python{version}"
            # pyenv's shims are there for versions that aren't chosen, too, and fail.
            if path.is_file() and not subprocess.run([path, "-c", ""], capture_output=True).returncode:
                found[version] = path
                break
    return found


def tested(run: Run, name: str, options: argparse.Namespace, services: bool) -> tuple[int, str]:
    """Return pytest's exit code and closing line, or what went wrong before."""
    words = ["-m", "tools.services", "--pg", "--redis", "--", "python3"] if services else []
    words += ["-m", "pytest", "-q", "-p", "no:cacheprovider", *(options.pytest or UNITS)]
    log = FOLDER / f"{name}.log"
    try:
        if run.interpreter is not None:
            return in_environment(run, run.interpreter, words, log)
        return in_debian(run, DebianRoot(options.debian_root, DEBIAN), words, log)
    except subprocess.CalledProcessError as error:
        return 1, f"failed: {' '.join(map(str, error.cmd))}"


def in_environment(run: Run, interpreter: Path, words: Sequence[str], log: Path) -> tuple[int, str]:
    venv = FOLDER / run.name
    uv("venv", "--quiet", "--allow-existing", "--python", str(interpreter), str(venv))
    uv("pip", "sync", "--quiet", "--python", str(venv / "bin/python3"), str(resolved(run)))
    inherited = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL")}
    path = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return follow([str(venv / "bin/python3"), *words], {**inherited, **ENVIRONMENT, "PATH": path}, log)


def in_debian(run: Run, root: DebianRoot, words: Sequence[str], log: Path) -> tuple[int, str]:
    """Packages are installed from outside: what the machine needs to reach an index isn't needed in the root."""
    root.make()
    venv = Path("/work", run.name)
    outside = root.folder / venv.relative_to("/")
    shutil.rmtree(outside, ignore_errors=True)
    with root.mounted(ROOT) as tree:
        make = root.command(["python3", "-m", "venv", "--without-pip", str(venv)], tree)
        subprocess.run(make, env=root.environment({}), check=True)
        uv(
            *(
                "pip",
                "install",
                "--quiet",
                "--target",
                str(outside / f"lib/python{run.version}/site-packages"),
            ),
            *(
                "--python-version",
                run.version,
                "--only-binary",
                ":all:",
                "--requirements",
                str(resolved(run)),
            ),
        )
        changes = root.environment({**ENVIRONMENT, "PATH": f"{venv}/bin:/usr/bin:/bin"})
        return follow(root.command(["python3", *words], tree), changes, log)


def resolved(run: Run) -> Path:
    """Resolve what the tests need: every extra, and the group `test`. Returns the file of pinned versions."""
    constraint, pinned = FOLDER / f"{run.name}.in", FOLDER / f"{run.name}.txt"
    constraint.write_text(f"django~={run.django}.0\n")
    uv(
        *(
            "pip",
            "compile",
            str(ROOT / "pyproject.toml"),
            "--all-extras",
            "--group",
            "test",
            "--upgrade",
            "--quiet",
        ),
        *("--resolution", RESOLUTIONS[run.dependencies], "--python-version", run.version),
        *("--constraint", str(constraint), "--output-file", str(pinned)),
    )
    return pinned


def uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", *arguments]
    subprocess.run(
        command, check=True, cwd=ROOT, env={**os.environ, **ENVIRONMENT}, stdout=subprocess.DEVNULL
    )


def follow(command: Sequence[str], environment: dict[str, str], log: Path) -> tuple[int, str]:
    """Run it with its output in the log, and show how far it is. Returns exit code and last line."""
    last, shown = "", 0
    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            for line in process.stdout or ():
                print(line, end="", file=file, flush=True)
                last = line.strip() or last
                percent = PERCENT.search(line)
                if percent and int(percent[1]) >= shown + 10:
                    shown = int(percent[1]) // 10 * 10
                    print(f"{shown} % ", end="", flush=True)
    return process.returncode, last.strip("= ")


if __name__ == "__main__":
    sys.exit(main())
