"""A Django project made as docs/install.md says, on what `pip install` brings, in a folder of its own."""

import functools
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.live.servers import ROOT, Server, base_environment

PAGE = (ROOT / "docs/install.md").read_text()
FILE = re.compile(r"^\*\*`([^`]+)`(?:, (continued))?\*\*\n\n```\w+\n(.*?)```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)```$", re.MULTILINE | re.DOTALL)
SETUP: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
SETTINGS = "mysite/settings.py"
SECONDS = 300
# What the tests' projects have besides: a page at /, for those who are signed in, the probes, folders, cheap passwords.
HOME = {
    SETTINGS: """
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
STATICFILES_DIRS = [folder for folder in (BASE_DIR / "static",) if folder.is_dir()]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
""",
    "mysite/urls.py": """
from django.contrib.auth.decorators import login_required
from django.views.generic import TemplateView
urlpatterns += [
    path("", login_required(TemplateView.as_view(template_name="home.html"), login_url="admin:login")),
    path("", include("realtime.ops_urls")),
]
""",
    "mysite/templates/home.html": """
{% load doorbell %}<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>My site</title>
<h1>Hello, {{ user }}</h1>
{% doorbell %}
</html>
""",
}
# The layer of a run that has Redis, with a prefix of the project's own.
REDIS = """
import os, zlib
if "REDIS_URL" in os.environ:
    CHANNEL_LAYERS = {"default": {
        "BACKEND": "realtime.channel_layer.GuardedRedisLayer",
        "CONFIG": {"hosts": [os.environ["REDIS_URL"]], "prefix": f"mysite{zlib.crc32(bytes(BASE_DIR))}"},
    }}
"""


def source(package: str) -> Path:
    """Where setuptools takes a package from."""
    for name, folder in SETUP["package-dir"].items():
        if package.startswith(f"{name}."):
            return ROOT / str(folder) / package.removeprefix(f"{name}.").replace(".", "/")
    return ROOT / package.replace(".", "/")


@functools.cache
def installed(folder: Path) -> Path:
    """What is installed for all projects of a run, so that it is compiled once. No project writes there."""
    install(folder / "site")
    return folder / "site"


def install(site: Path) -> None:
    """What `pip install .` does, by the same table, without the network."""
    for package in SETUP["packages"]:
        folder = source(package)
        for pattern in ("*.py", *SETUP["package-data"].get(package, [])):
            for file in filter(Path.is_file, folder.glob(pattern)):
                target = site / package.replace(".", "/") / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)


@functools.cache
def startproject() -> dict[str, str]:
    """The files of `django-admin startproject mysite .`, by path: the same for every project."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "django", "startproject", "mysite", "."]
        subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=SECONDS)
        root = Path(folder)
        return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.py")}


@functools.cache
def migrated(folder: Path) -> Path:
    """The database of a project without anything of its own, on SQLite."""
    (folder / "plain").mkdir()
    plain = HostProject(folder / "plain")
    plain.manage("migrate")
    return plain.folder / "db.sqlite3"


class HostProject:
    """`settings`: lines at the end of the settings. `files`: further files, or others, by path in the project.

    `interpreter`: one whose environment has Doorbell already; else it is installed for the interpreter of the tests.
    `to_the_letter`: with nothing but what docs/install.md says.
    """

    def __init__(
        self,
        folder: Path,
        settings: str = "",
        files: Mapping[str, str] | None = None,
        interpreter: Path | None = None,
        *,
        to_the_letter: bool = False,
    ) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.interpreter = str(interpreter or sys.executable)
        self.environment = base_environment(folder.parent / "pycache")
        if interpreter is None:
            self.environment["PYTHONPATH"] = str(installed(folder.parent))
        self.log = folder / "server.log"
        for name, text in startproject().items():
            self.write(name, text)
        for name, continued, text in FILE.findall(PAGE):
            self.write(name, text, append=bool(continued))
        for name, text in ({} if to_the_letter else HOME).items():
            self.write(name, text, append=True)
        self.write(SETTINGS, settings, append=True)
        for name, text in (files or {}).items():
            self.write(name, text)

    def write(self, name: str, text: str, *, append: bool = False) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if append else "w") as file:
            file.write(text + "\n")

    @property
    def on_sqlite(self) -> bool:
        return "backends.postgresql" not in (self.folder / SETTINGS).read_text()

    def python(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [self.interpreter, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        if check and done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        return done

    def manage(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.python("manage.py", *arguments, check=check)

    def shell(self, code: str) -> str:
        """Run code with Django set up; returns what it printed."""
        return self.manage("shell", "-v0", "-c", code).stdout

    def start(self, kind: str = "serve") -> Server:
        return Server(kind, self.environment, self.log, self.folder).start()
