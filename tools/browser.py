"""Finds a Chromium for the browser tests, or fetches one, and says how to launch it with Playwright.

`python -m tools.browser` prints the one found; `--fetch` makes sure there is one first. What is fetched without
root is kept under .cache/ in the repository. `playwright install` is no help on a closed network.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypedDict

from tools import debian, node

ROOT = Path(__file__).resolve().parent.parent

PACKAGE = "@sparticuz/chromium@147.0.2"
PACKAGE_SHA512 = "oqXyPAlGQuT9wdZAhcx4nmhehVgEsDc2adL/+FlX8qsLh/YyOgl9GQp8dPMDIBRmktxgA9c1QSNJIQUj2UeHhQ=="
CACHED = ROOT / ".cache" / "chromium-147.0.2"

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "microsoft-edge-stable",
)
MAC_APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

FONTS_CONF = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
</fontconfig>
"""


class BrowserError(RuntimeError):
    """There is no usable Chromium; the message names the fix."""


class LaunchOptions(TypedDict):
    """Keyword arguments for Playwright's `chromium.launch`."""

    executable_path: str
    args: list[str]
    env: dict[str, str | float | bool]


def executable() -> Path:
    """The Chromium to use: $CHROME, else the system's, else the one fetched before."""
    if found := _find():
        return found
    raise BrowserError(
        "No Chromium found. Fix: `python -m tools.browser --fetch` brings one;"
        " or install chromium or Chrome; or set CHROME to its path."
    )


def launch_options() -> LaunchOptions:
    """`await playwright.chromium.launch(**launch_options())`. Call it before Playwright is started."""
    fix_driver()
    program = executable()
    environment: dict[str, str | float | bool] = dict(os.environ)
    if program.is_relative_to(CACHED):
        libraries = [str(CACHED / "al2023" / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, libraries))
        environment["FONTCONFIG_FILE"] = str(CACHED / "fonts.conf")
    return {"executable_path": str(program), "args": list(ARGUMENTS), "env": environment}


def fix_driver() -> None:
    """Playwright's own node needs libatomic.so.1; where that is missing, let Playwright use another node."""
    if os.environ.get("PLAYWRIGHT_NODEJS_PATH"):
        return
    spec = importlib.util.find_spec("playwright")
    if spec is None or spec.origin is None:
        raise BrowserError("Playwright is missing. Fix: `make setup-dev`.")
    own = Path(spec.origin).parent / "driver" / "node"
    if not _runs(own):
        os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(node.find_node())


# -- finding --


@cache
def _runs(program: Path) -> bool:
    """Whether it prints its version: a stub that asks for a snap, or a missing library, fails here and not later."""
    try:
        done = subprocess.run(
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _find() -> Path | None:
    if chosen := os.environ.get("CHROME"):
        if found := shutil.which(chosen):
            return Path(found)
        raise BrowserError(f"CHROME={chosen} is no program. Fix: set it to a Chromium's path, or unset it.")
    candidates = [Path(found) for name in NAMES if (found := shutil.which(name))]
    candidates += [Path(name) for name in MAC_APPLICATIONS if os.path.exists(name)]
    for candidate in candidates:
        if _runs(candidate):
            return candidate
    cached = CACHED / "chromium"
    return cached if cached.is_file() else None


# -- fetching --


def fetch() -> Path:
    """Make sure there is a Chromium, and return it."""
    if found := _find():
        return found
    if debian.can_install() and _install_with_apt() and (found := _find()):
        return found
    _fetch_from_npm()
    return executable()


def _install_with_apt() -> bool:
    packages = ("chromium", "libatomic1")
    _say(f"no Chromium yet: apt-get install {' '.join(packages)}")
    if failure := debian.install(*packages):
        _say(f"apt-get failed; trying npm instead. It said:\n{failure}")
    return not failure


def _fetch_from_npm() -> None:
    """Unpack sparticuz' build of Chromium (a headless shell) with its libraries and fonts into .cache/."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise BrowserError(
            f"No Chromium is known to fetch for {sys.platform} on {platform.machine()}."
            " Fix: install chromium or Chrome, or set CHROME to its path."
        )
    _say(f"no Chromium yet: fetching {PACKAGE} from npm")
    CACHED.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="chromium-", dir=CACHED.parent) as name:
        folder = Path(name)
        with tarfile.open(_pack(folder)) as package:
            for part in ("chromium", "al2023.tar", "fonts.tar"):
                source = package.extractfile(f"package/bin/{part}.br")
                if source is None:
                    raise BrowserError(f"{PACKAGE} holds no {part}.br.")
                with source, (folder / f"{part}.br").open("wb") as target:
                    shutil.copyfileobj(source, target)
                _unbrotli(folder / f"{part}.br", folder / part)
        ready = folder / "ready"
        ready.mkdir()
        (folder / "chromium").rename(ready / "chromium")
        (ready / "chromium").chmod(0o755)
        for part in ("al2023", "fonts"):
            with tarfile.open(folder / f"{part}.tar") as archive:
                _extract(archive, ready / part)
        fonts = FONTS_CONF.format(fonts=CACHED / "fonts", cache=CACHED / "fonts-cache")
        (ready / "fonts.conf").write_text(fonts)
        shutil.rmtree(CACHED, ignore_errors=True)
        ready.rename(CACHED)


def _pack(folder: Path) -> Path:
    """Download the package's archive and check it against the hash pinned above."""
    done = subprocess.run(
        [
            *node.npm_command(),
            "pack",
            PACKAGE,
            "--json",
            "--ignore-scripts",
            "--pack-destination",
            str(folder),
        ],
        cwd=folder,
        env=node.environment(),
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise BrowserError(
            f"npm could not fetch {PACKAGE}:\n{done.stderr[-1000:]}\n"
            "Fix: install chromium or Chrome yourself, or set CHROME to its path."
        )
    archive = folder / str(json.loads(done.stdout)[0]["filename"])
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != PACKAGE_SHA512:
        raise BrowserError(f"{PACKAGE} is not the archive we know: its sha512 is {digest}.")
    return archive


def _unbrotli(source: Path, target: Path) -> None:
    """Python has no brotli of its own, node does."""
    program = (
        "const [, source, target] = process.argv, fs = require('fs');"
        "require('stream').pipeline(fs.createReadStream(source), require('zlib').createBrotliDecompress(),"
        "fs.createWriteStream(target), error => { if (error) throw error; });"
    )
    subprocess.run([node.find_node(), "-e", program, source, target], check=True)


def _extract(archive: tarfile.TarFile, target: Path) -> None:
    if hasattr(tarfile, "data_filter"):
        archive.extractall(target, filter="data")
    else:  # Python 3.11.0 to 3.11.3; the archive's hash is pinned
        archive.extractall(target)  # noqa: S202


def _say(text: str) -> None:
    print(f"tools.browser: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.browser",
        description="Print the path of the Chromium that the browser tests use.",
        epilog="Looked for in this order: $CHROME; chromium, Chrome or Edge on the PATH or in /Applications;"
        " the one fetched before. --fetch uses apt-get as root on Debian, else npm into .cache/.",
    )
    parser.add_argument("--fetch", action="store_true", help="bring one if there is none")
    options = parser.parse_args(arguments)
    try:
        print(fetch() if options.fetch else executable())
    except (BrowserError, node.NodeError) as error:
        print(f"tools.browser: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
