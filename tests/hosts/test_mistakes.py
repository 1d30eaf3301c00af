"""The mistakes that a developer makes first, each in a project made by docs/install.md, and what is said to them.

docs/mistakes.md has the sentences, word for word. What a page says: tests/browser/test_mistakes.py.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import InvalidStatus

from tests.hosts.project import HostProject
from tests.hosts.visitor import PEOPLE, Visitor
from tests.live.servers import ROOT, Server

PAGE = re.sub(r"\s+", " ", (ROOT / "docs/mistakes.md").read_text())
SETTINGS = "REALTIME_DRAIN_SECONDS = REALTIME_PREDRAIN_SECONDS = 0\n"
PLAIN_ASGI = """
import os
from django.core.asgi import get_asgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
application = get_asgi_application()
"""
NO_URLS = """
from django.contrib import admin
from django.urls import path
urlpatterns = [path("admin/", admin.site.urls)]
"""
HANDSHAKE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
# Each prints the error of one wrong call, on a line of its own.
WRONG_CALLS = """
import asyncio, json
from django.contrib.auth.models import AnonymousUser, Group, User
from messaging.notification_types import NotificationType, register
from messaging.notifications import anotify, notify, notify_many
ada = User.objects.get(username="ada")
def told(receiver=ada, kind="announcement", title="Hello", **more):
    return lambda: notify(receiver, kind, title, **more)
def many(receivers):
    return lambda: notify_many(receivers, "announcement", "Hello")
def declared(**more):
    return lambda: register(NotificationType(**{"name": "mine", "label": "Mine", **more}))
async def in_an_async_view():
    notify(ada, "announcement", "Hello")
calls = {
    "name": told("ada"), "none": told(None), "anonymous": told(AnonymousUser()), "unsaved": told(User(username="x")),
    "queryset": told(User.objects.all()), "group": told(Group.objects.create(name="staff")), "gone": told(10**6),
    "one of many": many(ada), "text for many": many("ada"), "manager": many(User.objects),
    "wrong among many": many([ada, None]),
    "type": told(kind="invoice_payed"), "level": told(level="critical"), "no title": told(title=None),
    "blank": told(title=" "), "url": told(url="javascript:alert(1)"), "key": told(dedupe_key=7),
    "actor": told(actor="grace"), "message": told(message="1"),
    "async": lambda: asyncio.run(in_an_async_view()),
    "declared name": declared(name=""), "declared level": declared(level="critical"),
    "no type": lambda: register("mine"),
}
found = {}
for name, call in calls.items():
    try:
        call()
    except Exception as error:
        found[name] = "\\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
    else:
        found[name] = "nothing"
asyncio.run(anotify(ada, "announcement", "As it is meant"))
print(json.dumps(found))
"""
VIEW = """
from django.http import HttpResponse
from django.urls import path
from messaging.exceptions import MessagingError
from messaging.notifications import notify
from mysite.urls import urlpatterns as others
def pay(request):
    try:
        notify("ada", "announcement", "Paid")
    except MessagingError as error:
        notify(request.user, "announcement", "Caught")
        return HttpResponse(str(error))
urlpatterns = [path("pay/", pay), *others]
"""
PAY = """
from django.contrib.auth.models import User
from django.test import Client
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.get(username="ada"))
answer = client.get("/pay/")
print(answer.status_code, answer.content.decode(), User.objects.get(username="ada").notifications.count())
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> HostProject:
    files = {"mysite/asgi.py": PLAIN_ASGI, "mysite/no_urls.py": NO_URLS, "mysite/pay.py": VIEW}
    return HostProject(tmp_path_factory.mktemp("mistakes"), SETTINGS, files)


@pytest.fixture(scope="module")
def migrated(project: HostProject) -> HostProject:
    project.manage("migrate")
    project.shell(PEOPLE)
    return project


@contextmanager
def mistaken(project: HostProject, lines: str) -> Iterator[HostProject]:
    """The same project with these lines at the end of its settings."""
    project.write("mysite/mistake.py", f"from mysite.settings import *\n{lines}")
    project.environment["DJANGO_SETTINGS_MODULE"] = "mysite.mistake"
    try:
        yield project
    finally:
        del project.environment["DJANGO_SETTINGS_MODULE"]
        (project.folder / "mysite/mistake.py").unlink()


@contextmanager
def served(project: HostProject, kind: str) -> Iterator[Server]:
    project.log.unlink(missing_ok=True)
    server = project.start(kind)
    try:
        yield server
    finally:
        server.kill()


def said(text: str, *sentences: str) -> None:
    """Assert that these are in the text, and in docs/mistakes.md."""
    plain = re.sub(r"\s+", " ", text)
    for sentence in sentences:
        assert sentence in plain, text
        assert sentence in PAGE, f"docs/mistakes.md lacks: {sentence}"
    assert "Traceback" not in text


def check(project: HostProject, lines: str) -> str:
    with mistaken(project, lines):
        done = project.manage("check", check=False)
    return done.stdout + done.stderr


# --- M1: migrate was forgotten. (First: the fixture `migrated` does it for all that follow.) -----------------------


def test_m1_without_migrate_everything_names_it(project: HostProject) -> None:
    migrate = "The database lacks tables or columns that Doorbell needs: run `manage.py migrate`."
    command = project.manage("notify", "ada", "Hello", check=False)
    said(command.stderr, f"CommandError: {migrate}")
    code = "from messaging.notifications import notify; notify(1, 'announcement', 'Hello')"
    called = project.manage("shell", "-v0", "-c", code, check=False).stderr.strip().splitlines()
    assert called[-1] == migrate
    with served(project, "serve") as server:
        visitor = Visitor(server)
        status, answer = visitor.call("GET", "/api/v1/notifications", Authorization="Bearer doorbell_x")
        assert (status, answer) == (503, {"code": "unmigrated", "detail": migrate})
        status, answer = visitor.call("GET", "/readyz")
        assert (status, answer["status"]) == (503, "unmigrated")
    log = project.log.read_text()
    said(log, "Run `manage.py migrate`.")
    assert "database unavailable" not in log


HTTP_ONLY = (
    "This server answers HTTP only, so no WebSocket opens, and pages see a notification when they are loaded again. "
    'Serve this address with `manage.py serve`; for `manage.py runserver` put "daphne" first in INSTALLED_APPS.'
)

# --- M2 to M4c: the settings, the server, the URLs ----------------------------------------------------------------

REMOVED = 'INSTALLED_APPS.remove("{}")'
CHECKED = {
    "M2 daphne last": (
        'INSTALLED_APPS = [*INSTALLED_APPS[1:], "daphne"]',
        ["Daphne must be listed before django.contrib.staticfiles in INSTALLED_APPS."],
    ),
    "M2 no ninja": (
        REMOVED.format("ninja"),
        ["loads its script and styles from cdn.jsdelivr.net.", 'INSTALLED_APPS = [*INSTALLED_APPS, "ninja"]'],
    ),
    "M3 no default layer": (
        'CHANNEL_LAYERS = {"other": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}',
        ["There is no default channel layer.", '"BACKEND": "realtime.channel_layer.GuardedRedisLayer",'],
    ),
    "M4 no daphne": (
        REMOVED.format("daphne"),
        [
            "daphne isn't in INSTALLED_APPS: `runserver` serves no WebSockets, and pages keep reconnecting.",
            'INSTALLED_APPS = ["daphne", *INSTALLED_APPS]',
        ],
    ),
    "M4b asgi.py of startproject": (
        'ASGI_APPLICATION = "mysite.asgi.application"',
        [
            "ASGI_APPLICATION, mysite.asgi.application, serves no sockets of Doorbell's: sockets are refused, and",
            "from realtime.asgi import with_sockets application = with_sockets(application)",
        ],
    ),
    "M4c no URLs": (
        'ROOT_URLCONF = "mysite.no_urls"',
        [
            "doesn't include realtime.urls: pages find neither the API nor the socket, and stay silent.",
            'urlpatterns += [path("", include("realtime.urls"))]',
        ],
    ),
}


@pytest.mark.parametrize("mistake", CHECKED)
def test_check_names_it_and_the_lines_to_paste(migrated: HostProject, mistake: str) -> None:
    lines, sentences = CHECKED[mistake]
    said(check(migrated, lines), *sentences)


@pytest.mark.parametrize("app", ["messaging", "realtime"])
def test_m2_an_app_of_ours_that_is_missing_is_named_by_the_last_lines(
    migrated: HostProject, app: str
) -> None:
    with mistaken(migrated, REMOVED.format(app)):
        done = migrated.manage("check", check=False)
    last = done.stderr[done.stderr.rindex("ImproperlyConfigured") :]
    said(last, f'Doorbell needs "{app}" in INSTALLED_APPS.', f'INSTALLED_APPS = [*INSTALLED_APPS, "{app}"]')


def test_m4_a_server_without_sockets_says_so_at_the_sockets_address(migrated: HostProject) -> None:
    with mistaken(migrated, REMOVED.format("daphne")), served(migrated, "runserver") as server:
        visitor = Visitor(server)
        for _ in range(2):
            status, answer = visitor.call("GET", "/ws/notifications/", **HANDSHAKE)
            assert status == 426
            said(answer.decode(), HTTP_ONLY)
        with pytest.raises(InvalidStatus, match="426"):
            visitor.hello("http://localhost")
    log = migrated.log.read_text()
    assert log.count("Serve this address with `manage.py serve`") == 1
    assert "Upgrade Required" not in log


# --- M9 to M11: code ----------------------------------------------------------------------------------------------

USER = "The user must be an instance of auth.User or its id, not"
USERS = "The users must be an iterable of users or their ids, not"
SENTENCES = {
    "name": f"InvalidNotification: {USER} the str 'ada'.",
    "none": f"InvalidNotification: {USER} a NoneType.",
    "anonymous": "InvalidNotification: The user is AnonymousUser: the request has no signed-in user.",
    "unsaved": "InvalidNotification: The user isn't stored: not saved yet, or deleted.",
    "queryset": f"InvalidNotification: {USER} a QuerySet.",
    "group": f"InvalidNotification: {USER} the Group with the id 1. "
    "For its users: notify_many(group.user_set.all(), …).",
    "gone": "UnknownUser: There is no user with the id 1000000.",
    "one of many": f"InvalidNotification: {USERS} the User with the id 1.",
    "text for many": f"InvalidNotification: {USERS} the str 'ada'.",
    "manager": "InvalidNotification: The users are a manager: give its .all().",
    "wrong among many": f"InvalidNotification: {USER} a NoneType.",
    "type": "UnknownNotificationType: There is no notification type 'invoice_payed'; declared are: announcement, "
    "message_read, new_message, user_offline, user_online.",
    "level": "InvalidNotification: The level must be info, success, warning or error, not 'critical'.",
    "no title": "InvalidNotification: A title is needed: the notification type 'announcement' has none of its own.",
    "blank": "InvalidNotification: The title shows nothing: it has only blanks and invisible characters.",
    "url": "InvalidNotification: The url must be relative to this site (/…) or begin with http:// or https://, ASCII "
    "only, up to 500 characters.",
    "key": "InvalidNotification: The dedupe_key must be a text of 1 to 200 characters, not of type int.",
    "actor": "InvalidNotification: The actor must be an instance of auth.User or its id, not the str 'grace'.",
    "message": "InvalidNotification: The message must be an instance of messaging.Message or its id, not the str '1'.",
    "async": "SynchronousOnlyOperation: You cannot call this from an async context - use a thread or sync_to_async. "
    "In async code: `await anotify(…)` or `await anotify_many(…)`, with the same arguments.",
    "declared name": "ValueError: A notification type's name has 1 to 50 characters, not ''.",
    "declared level": "ValueError: The notification type 'mine' has the level 'critical'; levels are: info, success, "
    "warning, error.",
    "no type": "TypeError: register() takes a NotificationType, not 'mine': "
    'register(NotificationType(name="invoice_paid", label="Invoice paid")).',
}


def test_m9_each_wrong_call_is_refused_in_a_sentence(migrated: HostProject) -> None:
    found = json.loads(migrated.shell(WRONG_CALLS))
    assert {name: re.sub(r"\s+", " ", text) for name, text in found.items()} == SENTENCES
    for sentence in SENTENCES.values():
        assert sentence in PAGE, f"docs/mistakes.md lacks: {sentence}"


def test_m9_a_name_with_blanks_works_and_is_warned_of(migrated: HostProject) -> None:
    code = (
        "from django.core.management import call_command; from messaging.notification_types import *;"
        "from messaging.notifications import notify; register(NotificationType(name='invoice paid', label='Paid'));"
        "notify(1, 'invoice paid', 'Hello'); call_command('check')"
    )
    found = migrated.manage("shell", "-v0", "-c", code)
    said(found.stderr, "The name of the notification type 'invoice paid' has blanks or control characters.")


def test_m9_a_second_token_of_a_name_is_pointed_out(migrated: HostProject) -> None:
    migrated.manage("create_api_token", "my-program", "--user", "ada")
    second = migrated.manage("create_api_token", "my-program", "--user", "ada")
    assert second.stdout.startswith("doorbell_")
    said(second.stderr, "Valid tokens named 'my-program' before this one: 1. They stay valid;")


def test_m10_a_wrong_receiver_that_is_caught_leaves_the_requests_transaction_intact(
    migrated: HostProject,
) -> None:
    lines = 'DATABASES["default"]["ATOMIC_REQUESTS"] = True\nROOT_URLCONF = "mysite.pay"'
    with mistaken(migrated, lines):
        before = int(migrated.shell("from messaging.models import *; print(Notification.objects.count())"))
        answer = migrated.shell(PAY)
    assert answer.split()[0] == "200"
    said(answer, f"{USER} the str 'ada'.")
    assert int(answer.split()[-1]) == before + 1


def test_m11_a_worker_that_ends_at_once_needs_nothing(migrated: HostProject) -> None:
    code = (
        "from messaging.models import Notification; from messaging.notifications import notify;"
        "made = notify(1, 'announcement', 'From a worker'); print(Notification.objects.get(pk=made.pk).revision)"
    )
    assert int(migrated.shell(code)) > 0
