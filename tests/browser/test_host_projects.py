"""Projects as people have them, each made from nothing: clean checks, and toasts for what its processes publish.

(A project on gunicorn, with `serve` beside it, is that of test_gunicorn.py.)
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser

from conftest import size
from tests.hosts.conftest import database_settings, host  # noqa: F401  fixtures
from tests.hosts.project import PAGE, REDIS, HostProject
from tests.hosts.test_logins import follow
from tests.hosts.test_names import MODELS
from tests.hosts.test_sessions import ENGINES
from tests.hosts.user_models import EMAIL, MANAGER, UUID_KEYS
from tests.hosts.visitor import PASSWORD
from tests.live.servers import find_faults

from .conftest import caught_up, keep_toasts, see

URLS = "mysite/urls.py"
RING = """
from django.contrib.auth import get_user_model
from django.http import HttpResponse
from messaging.notifications import notify
def ring(name, title):
    notify(get_user_model()._default_manager.get_by_natural_key(name), "announcement", title)
def view(request, name, title):
    ring(name, title)
    return HttpResponse("rung")
"""
# As Celery does it: a process of its own, set up once, that takes one task after the other.
WORKER = """
import os, sys, django
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
django.setup()
from mysite.ring import ring
name, *titles = sys.argv[1:]
for title in titles:
    ring(name, title)
"""
# (One process, for a start of each would be most of the test's time.)
SET_UP = """
from django.contrib.auth import get_user_model
from django.core.management import call_command
if {app!r}:
    call_command("makemigrations", {app!r}, verbosity=0)
call_command("check", fail_level="WARNING")
call_command("makemigrations", check=True)
call_command("migrate", verbosity=0)
get_user_model()._default_manager.create_superuser({name!r}, password={password!r})
"""


@dataclass(frozen=True)
class Project:
    """`app`: the one with models of its own. `view`: where the project's view is. `page`: with sign-in and toasts."""

    settings: str = ""
    app: str = ""
    models: str = ""
    name: str = "ada"
    view: str = "ring/"
    page: str = "/"
    socket: str = "/ws/notifications/"
    finish: Callable[[HostProject], object] = lambda project: None


def own_users(models: str, name: str = "ada") -> Project:
    settings = "INSTALLED_APPS += ['people']\nAUTH_USER_MODEL = 'people.Account'\n"
    return Project(settings, "people", MANAGER + models, name)


def under_a_prefix(project: HostProject) -> None:
    urls = (project.folder / URLS).read_text()
    ours = 'path("", include("realtime.urls"))'
    assert ours in urls
    project.write(URLS, urls.replace(ours, 'path("notify/", include("realtime.urls"))'))


# A profile, an app `notifications` with a relation of that name, and more.
OWN_NAMES = """
INSTALLED_APPS += ["notifications"]
DOORBELL_REVERSE_NAMES = {"profile": "doorbell_profile", "notifications": None, "sent_messages": None}
"""
PROJECTS = {
    # The first two are those of `make test`.
    "plain startproject": Project(),
    "UUID users": own_users(UUID_KEYS),
    "e-mail users without username": own_users(EMAIL, "ada@example.org"),
    "own profile, notifications and api/v1/": Project(
        OWN_NAMES, "notifications", MODELS, view="api/v1/ring/"
    ),
    "under a prefix": Project(socket="/notify/ws/notifications/", finish=under_a_prefix),
    "cached sessions": Project(ENGINES["cache"]),
    "JWT": Project(page="/app/", finish=follow),
}
CHOSEN = list(PROJECTS)[: size(2, full=len(PROJECTS))]


def build(kind: Project, host: Callable[..., HostProject]) -> HostProject:  # noqa: F811
    files = {"mysite/ring.py": RING, "mysite/worker.py": WORKER}
    if kind.app:
        files |= {f"{kind.app}/__init__.py": "", f"{kind.app}/models.py": kind.models}
    project = host(REDIS + kind.settings, files)
    kind.finish(project)
    view = f'from mysite.ring import view\nurlpatterns += [path("{kind.view}<name>/<title>", view)]'
    project.write(URLS, view, append=True)
    out = project.shell(SET_UP.format(app=kind.app, name=kind.name, password=PASSWORD))
    assert "no issues" in out, out
    assert "No changes" in out, out
    return project


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", CHOSEN)
async def test_a_toast_for_what_a_projects_view_worker_and_command_publish(
    browser: Browser,
    host: Callable[..., HostProject],  # noqa: F811
    kind: str,
) -> None:
    here = PROJECTS[kind]
    project = await asyncio.to_thread(build, here, host)
    server = project.start("runserver")
    context = await browser.new_context()
    try:
        page = await context.new_page()
        synced = caught_up(page)
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(urlsplit(socket.url).path))
        await page.goto(server.url + here.page)
        await page.locator("[name=username]").fill(here.name)
        await page.locator("[name=password]").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await asyncio.wait_for(synced.wait(), 120)
        assert set(sockets) == {here.socket}
        await keep_toasts(page)
        answer = await context.request.get(f"{server.url}/{here.view}{here.name}/By a view", timeout=120_000)
        assert await answer.text() == "rung"
        await see(page, "By a view")
        titles = [f"By a worker, {number}" for number in (1, 2)]
        await asyncio.to_thread(project.python, "-m", "mysite.worker", here.name, *titles)
        await see(page, *titles)
        await asyncio.to_thread(project.manage, "notify", here.name, "By a command")
        await see(page, "By a command")
    finally:
        await context.close()
        server.kill()
    assert not find_faults([(project.log, 0)])


def test_the_page_lists_these_projects() -> None:
    table = PAGE.partition("## Tested in these projects")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)
    assert listed == ["Project", *PROJECTS, "gunicorn beside `serve`"]
