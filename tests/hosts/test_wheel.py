"""The wheel in an empty environment: what it contains, what it requires, and what works there without any extra.

What it requires is copied from the environment of the tests, so no package index is used; `make package
ARGS=--install` does use one.
"""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.hosts.project import HostProject
from tools import package

WITHOUT_EXTRAS = """
INSTALLED_APPS.remove("daphne")
SILENCED_SYSTEM_CHECKS = ["realtime.W020"]
"""
ON_REDIS = """
CHANNEL_LAYERS = {"default": {"BACKEND": "realtime.channel_layer.GuardedRedisLayer"}}
"""
ON_POSTGRESQL = """
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "mysite"}}
"""
NOTIFY = """
from django.contrib.auth.models import User
from django.test import Client
from messaging.notifications import notify
ada = User.objects.create_user("ada")
notify(ada, "announcement", "It rings")
client = Client(headers={"host": "localhost"})
client.force_login(ada)
print(client.get("/api/v1/notifications").json()["items"][0]["title"])
"""
IN_GERMAN = """
from django.utils import translation
from messaging.notification_types import ANNOUNCEMENT
from realtime.models import ServerProcess
with translation.override("de"):
    print(ANNOUNCEMENT.label, ServerProcess._meta.verbose_name)
"""


# Environments and builds take seconds, and minutes on a loaded machine.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return package.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture
def interpreter(built: tuple[Path, Path], tmp_path: Path) -> Path:
    """Of an environment with the wheel and what it requires, and nothing else."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin/python"
    pip(python, "install", "--no-index", "--no-deps", str(built[0]))
    [site] = venv.glob("lib/python*/site-packages")
    wanted, copied = requirements(site), {"django-doorbell"}
    while wanted:
        name = wanted.pop()
        if name not in copied:
            copied.add(name)
            copy(name, site)
            wanted |= requirements(site, name)
    return python


def pip(python: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pip", "--python", str(python), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def requirements(site: Path, name: str = "django-doorbell") -> set[str]:
    """What a distribution in this environment requires, without extras."""
    [found] = [known for known in distributions(path=[str(site)]) if canonicalize_name(known.name) == name]
    needed = [Requirement(text) for text in found.requires or []]
    return {
        canonicalize_name(one.name) for one in needed if not one.marker or one.marker.evaluate({"extra": ""})
    }


def copy(name: str, site: Path) -> None:
    for file in distribution(name).files or []:
        if ".." not in file.parts and file.suffix != ".pyc":
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), target)


def test_wheel_and_sdist_contain_the_apps_and_the_client_and_nothing_else(built: tuple[Path, Path]) -> None:
    assert [*package.faults(*built)] == []
    # The check would find what is missing, and what is too much.
    sdist = built[1]
    wheel = Path(shutil.copy(built[0], sdist.with_name("larger.whl")))
    with zipfile.ZipFile(wheel, "a") as file:
        file.writestr("tests/test_it.py", "")
    smaller = sdist.with_name("smaller.tar.gz")
    with tarfile.open(sdist) as archive, tarfile.open(smaller, "w:gz") as without:
        for member in archive:
            if not member.name.endswith("/messaging/py.typed"):
                without.addfile(member, archive.extractfile(member))
    assert [*package.faults(wheel, smaller)] == [
        "wheel: tests/test_it.py doesn't belong there",
        "sdist: messaging/py.typed is missing",
    ]


def test_without_extras_a_project_works_and_says_what_is_missing(interpreter: Path, tmp_path: Path) -> None:
    assert "No broken requirements" in pip(interpreter, "check")
    packages = pip(interpreter, "list", "--format=freeze").split()
    assert len(packages) <= package.MOST_PACKAGES, packages
    project = HostProject(tmp_path, WITHOUT_EXTRAS, interpreter=interpreter)
    assert "no issues" in project.manage("check").stdout
    project.manage("makemigrations", "--check")
    project.manage("migrate")
    assert project.shell(NOTIFY).strip() == "It rings"
    assert project.shell(IN_GERMAN).strip() == "Ankündigung Serverprozess"
    # Each error in one line, with what to install.
    served = project.manage("serve", check=False)
    assert (served.returncode, "Traceback" in served.stderr) == (1, False)
    assert "pip install django-doorbell[server]" in served.stderr
    project.write("mysite/settings.py", ON_REDIS, append=True)
    checked = project.manage("check", check=False)
    assert (checked.returncode, "Traceback" in checked.stderr) == (1, False)
    assert "pip install django-doorbell[redis]" in checked.stderr
    project.write("mysite/settings.py", ON_POSTGRESQL, append=True)
    assert "pip install django-doorbell[postgres]" in project.manage("check", check=False).stderr
