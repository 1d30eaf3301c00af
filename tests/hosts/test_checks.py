"""A project with every mistake of wiring at once: `check` names each, and the pasted hints mend them all."""

import re
import textwrap
from collections.abc import Callable

from tests.hosts.conftest import ON_POSTGRESQL
from tests.hosts.project import SETTINGS, HostProject
from tests.hosts.visitor import Visitor, serving

MISTAKES = """
REALTIME_DRAIN_SECONDS = REALTIME_PREDRAIN_SECONDS = 0
DOORBELL_SESSION = True
INSTALLED_APPS = [name for name in INSTALLED_APPS if name != "daphne"]
ASGI_APPLICATION = "mysite.asgi.application"
MIDDLEWARE = [name for name in reversed(MIDDLEWARE) if "Csrf" not in name]
"""
# What docs/install.md has for SQLite.
if not ON_POSTGRESQL:
    MISTAKES += 'del DATABASES["default"]["OPTIONS"]\n'
URLS = """
from django.contrib import admin
from django.urls import path
urlpatterns = [path("admin/", admin.site.urls)]
"""
# As startproject makes it.
ASGI = """
import os
from django.core.asgi import get_asgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
application = get_asgi_application()
"""
MESSAGE = re.compile(
    r"^\S+: \(((?:messaging|realtime)\.\w+)\) (.*?)(?=^\S+: \(|^System check|\Z)", re.MULTILINE | re.DOTALL
)
PASTED = re.compile(r" At the end of ([^:]+):\n\n((?:    .*\n|\n)+)")


def found(project: HostProject, *arguments: str) -> dict[str, str]:
    """Return what Doorbell's checks say, by id."""
    done = project.manage("check", *arguments, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return dict(MESSAGE.findall(done.stdout + done.stderr))


def paste_all(project: HostProject, messages: dict[str, str]) -> None:
    for name, text in messages.items():
        pasted = PASTED.search(f"{text}\n")
        assert pasted, (name, text)
        place, lines = pasted.groups()
        file = SETTINGS if place == "the settings" else place
        assert (project.folder / file).exists()
        project.write(file, textwrap.dedent(lines), append=True)


def test_pasted_hints_mend_every_mistake_of_wiring(host: Callable[..., HostProject]) -> None:
    project = host(MISTAKES, {"mysite/urls.py": URLS, "mysite/asgi.py": ASGI})
    messages = found(project)
    assert set(messages) == {"realtime.W020", "realtime.W021", "realtime.W022", "realtime.W023"}
    paste_all(project, messages)
    assert found(project) == {}
    deployed = found(project, "--deploy")
    on_sqlite = set() if ON_POSTGRESQL else {"messaging.W008", "messaging.W009"}
    assert on_sqlite <= set(deployed)
    paste_all(project, deployed)
    assert found(project, "--deploy") == {}
    with serving(project) as server:
        visitor = Visitor(server)
        visitor.sign_in()
        assert visitor.hello("http://localhost")["user"]["username"] == "ada"
