"""docs/gunicorn.md as it stands: gunicorn for the pages, `serve` beside it, a real proxy in front, Celery behind.

A toast in Chromium for what each kind of process publishes: a WSGI view, forked and threaded workers, a command.
"""

import asyncio
import contextlib
import getpass
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from conftest import size
from tests.hosts.conftest import database_settings, host  # noqa: F401  fixtures
from tests.hosts.project import REDIS, HostProject
from tests.hosts.visitor import PASSWORD, PEOPLE, set_up
from tests.live.servers import ROOT, Server, find_faults, free_port
from tools import proxies

from .conftest import caught_up, see

DOCS = (ROOT / "docs/gunicorn.md").read_text()
PAGE = """
{% load static %}<!doctype html>
<html lang="en">
<title>My site</title>
<link rel="stylesheet" href="{% static 'toast/toast.css' %}">
<script type="module" src="{% static 'notify.js' %}"></script>
<h1>Hello, {{ user }}</h1>
<doorbell-toasts duration="600000"></doorbell-toasts>
</html>
"""
SCRIPT = """
import "./toast/define.js";
import { connect } from "./client/connect.js";
document.querySelector("doorbell-toasts").client = connect();
"""
SETTINGS = """
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
STATIC_ROOT = BASE_DIR / "collected"
STATICFILES_DIRS = [BASE_DIR / "shop/static"]
REALTIME_DRAIN_SECONDS = REALTIME_PREDRAIN_SECONDS = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
"""
URLS = """
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.template import engines
from messaging.notifications import notify
@login_required(login_url="/admin/login/")
def page(request):
    # Beside the page of docs/install.md, whatever that is.
    template = engines["django"].from_string(PAGE)
    return HttpResponse(template.render({"user": request.user}, request))
def ring(request):
    notify(User.objects.get(username="ada"), "announcement", request.GET["title"])
    return HttpResponse("rung")
urlpatterns = [path("shop/", page), path("ring/", ring), *urlpatterns]
"""
CELERY = """
import os
from pathlib import Path
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
from celery import Celery
from celery.signals import worker_init
folder = Path(__file__).resolve().parent.parent / "queue"
folder.mkdir(exist_ok=True)
app = Celery("mysite", broker="filesystem://", broker_transport_options={
    "data_folder_in": str(folder), "data_folder_out": str(folder), "control_folder": str(folder)})
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
@app.task
def ring(title):
    from django.contrib.auth.models import User
    from messaging.notifications import notify
    notify(User.objects.get(username="ada"), "announcement", title)
@worker_init.connect
def before_the_fork(**kwargs):
    # The parent has connections and a relay's thread of its own.
    ring("from Celery's parent")
"""
# Loaded by gunicorn's master with --preload: it has connections and a relay's thread before it forks.
PRELOADED = """
from django.contrib.auth.models import User
from messaging.notifications import notify
notify(User.objects.get(username="ada"), "announcement", "from gunicorn's master")
"""
# (Its control socket would be one for all that this user runs.)
GUNICORN = ["-m", "gunicorn", "mysite.wsgi", "--bind", "127.0.0.1:{port}", "--no-control-socket"]
ENQUEUE = "from mysite.celery import ring; ring.delay({!r})"


class Program(Server):
    """Any program, from a command with `{port}` in it."""

    def __init__(self, project: HostProject, name: str, command: list[str], log: Path) -> None:
        super().__init__(name, project.environment, log, project.folder)
        self.KINDS = {name: command}
        self.port = free_port()


class Worker(Program):
    """A program that listens nowhere: it is ready when its log says so."""

    def _answers(self) -> bool:
        return "ready." in self.log.read_text(errors="replace")


def fenced(language: str) -> str:
    text: str
    [text] = re.findall(rf"^```{language}\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    return text


def configuration(name: str, folder: Path, static: Path, ports: tuple[int, int, int]) -> list[str]:
    """Write the page's configuration with these paths and ports; return the command that serves it."""
    own, wsgi, sockets = ports
    text = fenced(name)
    address = {
        "nginx": ("listen 80;", f"listen 127.0.0.1:{own};"),
        "caddy": ("example.com {", f"http://127.0.0.1:{own} {{"),
    }
    for old, new in (
        ("/srv/mysite/static", str(static)),
        ("127.0.0.1:8000", f"127.0.0.1:{wsgi}"),
        ("127.0.0.1:8001", f"127.0.0.1:{sockets}"),
        address[name],
    ):
        assert old in text
        text = text.replace(old, new)
    if name == "nginx":
        types = "types { text/css css; text/javascript js; text/html html; }"
        text = (
            f"daemon off; user {getpass.getuser()}; pid nginx.pid; error_log stderr;"
            f"events {{}} http {{ access_log off; {types} {text} }}"
        )
    else:
        text = "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n}\n" + text
    folder.mkdir()
    file = folder / "configuration"
    file.write_text(text)
    return proxies.command(name, file)


def exec_of(command: list[str]) -> list[str]:
    return ["-c", "import os, sys; os.execv(sys.argv[1], sys.argv[1:])", *command]


@contextlib.contextmanager
def running(*programs: Server) -> Iterator[None]:
    try:
        for program in programs:
            program.start()
        yield
    finally:
        for program in reversed(programs):
            program.kill()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("proxy", "worker"),
    [
        ("nginx", ["--worker-class", "sync", "--preload"]),
        ("caddy", ["--worker-class", "gthread", "--threads", "2"]),
    ],
    ids=["nginx-sync-preload", "caddy-gthread"],
)
async def test_a_toast_for_what_each_kind_of_process_publishes(
    browser: Browser,
    host: Callable[..., HostProject],  # noqa: F811
    tmp_path: Path,
    proxy: str,
    worker: list[str],
) -> None:
    project = host(SETTINGS + REDIS, {"shop/static/notify.js": SCRIPT, "mysite/celery.py": CELERY})
    project.write("mysite/urls.py", f"PAGE = {PAGE!r}\n{URLS}", append=True)
    project.manage("collectstatic", "--noinput", "-v0")
    set_up(project, f"{PEOPLE}\nget_user_model().objects.update(is_staff=True)  # for the admin's login page")
    if "--preload" in worker:
        project.write("mysite/wsgi.py", PRELOADED, append=True)
    log = project.log
    gunicorn = Program(
        project,
        "gunicorn",
        [*GUNICORN, "--workers", "2", *worker],
        log,
    )
    project.environment["FORWARDED_ALLOW_IPS"] = "127.0.0.1"
    serve = Program(project, "serve", ["manage.py", "serve", "--port", "{port}"], log)
    front = Program(project, proxy, [], tmp_path / "proxy.log")
    command = configuration(
        proxy, tmp_path / proxy, project.folder / "collected", (front.port, gunicorn.port, serve.port)
    )
    front.KINDS = {proxy: exec_of(command)}
    celery = ["-m", "celery", "-A", "mysite.celery", "worker", "--concurrency", "2", "--loglevel", "info"]
    prefork = Worker(project, "prefork", [*celery, "--pool", "prefork"], tmp_path / "prefork.log")
    threads = Worker(project, "threads", [*celery, "--pool", "threads"], tmp_path / "threads.log")
    # In `make test` each pool once.
    workers = [prefork, threads] if size(0, full=1) else [prefork if proxy == "nginx" else threads]
    with running(gunicorn, serve, front):
        context = await browser.new_context()
        page = await context.new_page()
        synced = caught_up(page)
        await page.goto(f"{front.url}/shop/")
        await page.get_by_label("Username").fill("ada")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await asyncio.wait_for(synced.wait(), 120)
        # Several, so that each of gunicorn's workers answers.
        for number in range(6):
            answer = await context.request.get(f"{front.url}/ring/?title=View+{number}", timeout=120_000)
            assert answer.ok, await answer.text()
            await see(page, f"View {number}")
        await asyncio.to_thread(project.manage, "notify", "ada", "By a command")
        await see(page, "By a command")
        for kind in workers:
            with running(kind):
                await asyncio.to_thread(project.shell, ENQUEUE.format(f"By Celery's {kind.kind}"))
                await see(page, f"By Celery's {kind.kind}")
        await context.close()
    assert not find_faults([(log, 0), *((kind.log, 0) for kind in workers)])
    assert not re.search(r"\[(?:ERROR|CRITICAL)\]", log.read_text())
