"""User models of a project's own, each with migrations, in a project of its own: all goes as with Django's."""

import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from conftest import size
from tests.hosts.conftest import ON_POSTGRESQL
from tests.hosts.project import HostProject
from tests.hosts.user_models import ADMIN, MANAGER, USER_MODELS, UserModel
from tests.hosts.visitor import PASSWORD, QUICK, Socket, Visitor
from tests.live.servers import Server, find_faults

OURS = "http://localhost"
# What the server's own process does to a user: a push from another process needs Redis.
ACTS = """
from django.contrib.auth import get_user_model
from django.db import connection
from django.http import JsonResponse
from django.urls import path
from django.utils import timezone
from messaging.models import Inbox, Notification
from messaging.notifications import notify, notify_many
from realtime.outbound import announcements
from people.models import *
PASSWORD = {password!r}
def deactivate(user):
    {deactivate}
def restore(user):
    {restore}
def delete(user):
    user.delete()
def tell(user):
    # Without the inbox and profile that are made with a user.
    user.inbox.delete()
    notify(user, "announcement", "Is it for me?")
def announce(user):
    # In one envelope, though they are few.
    announcements.MIN_USERS = 2
    notify_many(get_user_model()._base_manager.all(), "announcement", "To everybody")
def count(user):
    pass
def spoil(user):
    Inbox.objects.filter(user_id=user.pk).update(unread_count=77)
def give(user):
    # In SQL, to ada.
    model = get_user_model()
    other = model._base_manager.get(**{{f"{{model.USERNAME_FIELD}}__startswith": "ada"}})
    row = Notification.objects.filter(user_id=user.pk, title="Published").latest("pk")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_notification SET user_id = (SELECT user_id FROM messaging_inbox WHERE user_id = %s)"
            " WHERE id = %s", [model._meta.pk.get_db_prep_value(other.pk, connection), row.pk])
def act(request, what):
    model = get_user_model()
    user = model._base_manager.filter(**{{model.USERNAME_FIELD: request.GET["name"]}}).first()
    globals()[what](user)
    pending = Notification.everything.filter(pending_since__isnull=False).count()
    return JsonResponse({{"pending": pending, "inboxes": Inbox.objects.count(), "key": str(user and user.pk)}})
urlpatterns = [path("act/<str:what>/", act)]
"""
MIGRATE = """
from django.core.management import call_command
call_command("makemigrations", "people", verbosity=0)
call_command("migrate", verbosity=0)
call_command("check", databases=["default"], fail_level="WARNING")
"""
EXTENSION = """
from django.db import connection
if connection.vendor == "postgresql":
    connection.cursor().execute("CREATE EXTENSION citext")
"""
SET_UP = """
from django.contrib.auth import get_user_model
users = get_user_model()._default_manager
for name in {names!r}:
    users.create_user(name, password={password!r})
if {has_admin}:
    users.create_superuser({root!r}, password={password!r})
{others}
call_command("create_api_token", "publisher")
call_command("create_api_token", "phone", user={names[1]!r})
"""
SPOIL_AND_REPAIR = """
from django.core.management import call_command
from messaging.models import Inbox
Inbox.objects.update(unread_count=77)
call_command("check_inboxes", repair=True)
"""
PAGES = (
    "messaging/notification/",
    "messaging/notification/send/",
    "messaging/message/",
    "messaging/message/add/",
    "messaging/userprofile/",
    "messaging/apitoken/add/",
    "messaging/block/add/",
    "messaging/inbox/",
    "realtime/connection/",
)
# The first three are shared out between the databases of `make test`.
FIRST = size(1, full=0) if ON_POSTGRESQL else 0
CHOSEN = list(USER_MODELS)[FIRST : FIRST + size(2, full=len(USER_MODELS))]


class Site:
    """A project with this user model, its server, and what is done there."""

    def __init__(self, project: HostProject, kind: UserModel) -> None:
        self.project, self.kind = project, kind
        self.ada, self.grace, self.root = (self.name(who) for who in ("ada", "grace", "root"))
        out = project.shell(
            EXTENSION
            + MIGRATE
            + SET_UP.format(
                names=[self.ada, self.grace],
                password=PASSWORD,
                root=self.root,
                has_admin=kind.has_admin,
                others=kind.others,
            )
        )
        self.token, self.own_token = out.split()[-2:]
        if kind.later[0]:
            project.write("people/models.py", (MANAGER + kind.models).replace(*kind.later))
            project.shell(MIGRATE)
        self.server: Server = project.start()

    def name(self, who: str) -> str:
        return self.kind.names.format(who)

    def visitor(self, name: str) -> Visitor:
        visitor = Visitor(self.server)
        visitor.sign_in(name)
        return visitor

    def act(self, what: str, name: str) -> dict[str, Any]:
        status, answer = Visitor(self.server).call("GET", f"/act/{what}/?name={quote(name)}")
        assert status == 200, answer
        return dict(answer)

    def by_own_token(self) -> tuple[int, Any]:
        """Ask by grace's token for whose it is."""
        status, answer = Visitor(self.server).call(
            "GET", "/api/v1/session", Authorization=f"Bearer {self.own_token}"
        )
        return status, answer["user"] if status == 200 else answer

    def publish(self, name: str) -> dict[str, Any]:
        item = {"user": name, "notification_type": "announcement", "title": "Published"}
        status, answer = Visitor(self.server).call(
            "POST", "/api/v1/publish", [item], Authorization=f"Bearer {self.token}"
        )
        assert status == 202, answer
        return dict(answer)


@pytest.fixture
def site(host: Callable[..., HostProject]) -> Iterator[Callable[[UserModel], Site]]:
    made: list[Site] = []

    def make(kind: UserModel) -> Site:
        files = {
            "people/__init__.py": "",
            "people/models.py": MANAGER + kind.models,
            "people/admin.py": ADMIN if kind.has_admin else "",
            "people/acts.py": ACTS.format(
                password=PASSWORD, deactivate=kind.deactivate, restore=kind.restore
            ),
        }
        settings = (
            f"{QUICK}INSTALLED_APPS += ['people']\nAUTH_USER_MODEL = {kind.label!r}\n{kind.settings}"
            # The sweep that would find it later is kept away.
            "REALTIME_RECHECK_SECONDS = 3600\nSILENCED_SYSTEM_CHECKS = ['realtime.W001', 'realtime.W010']\n"
        )
        project = host(settings, files)
        project.write(
            "mysite/urls.py", "from people import acts\nurlpatterns += acts.urlpatterns", append=True
        )
        made.append(Site(project, kind))
        return made[0]

    yield make
    for each in made:
        each.server.kill()
        assert not find_faults([(each.project.log, 0)])


def added(socket: Socket) -> dict[str, Any]:
    """The next notification that a socket receives."""
    while True:
        frame = socket.next()
        if frame["type"] == "inbox" and frame["added"]:
            return dict(frame["added"][0])


def pushed(socket: Socket) -> dict[str, Any]:
    """The next frame has this new notification, which no catch-up has brought."""
    frame = socket.next()
    assert (frame["type"], frame["replayed"]) == ("inbox", False)
    return dict(frame["added"][0])


def names_in(visitor: Visitor, path: str) -> set[str]:
    status, answer = visitor.call("GET", path)
    assert status == 200, answer
    return {item.get("user", item)["username"] for item in answer["items"]}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", CHOSEN)
def test_a_projects_own_user_model(kind: str, site: Callable[[UserModel], Site]) -> None:
    here = site(USER_MODELS[kind])
    ada, grace = here.visitor(here.ada), here.visitor(here.grace)
    assert names_in(ada, "/api/v1/users") >= {here.grace}
    assert names_in(ada, "/api/v1/users?search=GRACE") == {here.grace}
    assert here.by_own_token() == (200, {"id": the_id(here, here.grace), "username": here.grace})
    with grace.socket(OURS) as socket:
        assert socket.hello["user"]["username"] == here.grace
        said = {"receiver": here.grace, "content": "Good morning"}
        assert ada.call("POST", "/api/v1/messages", said)[0] == 201
        received = added(socket)
        assert received["actor"] == ada.call("GET", "/api/v1/session")[1]["user"]
        assert received["actor"]["username"] == here.ada
        assert socket.hello["user"]["id"] == the_id(here, here.grace)
        assert here.publish(here.kind.spelled.format("grace") or here.grace)["created"] == 1
        assert added(socket)["title"] == "Published"
        here.act("announce", here.grace)
        assert pushed(socket)["title"] == "To everybody"
        here.project.manage("notify", here.grace, "By the command")
        assert added(socket)["title"] == "By the command"
        assert names_in(ada, "/api/v1/presence") == {here.grace}
        looks_at_the_admin(here)
        blocks_by_id(here, ada)
        here.act("give", here.grace)
        assert removed(socket)
        assert "Published" in titles(ada)
        here.act("deactivate", here.grace)
        assert socket.close_code() == 4503
    if here.kind.can_deactivate:
        is_gone(here, ada, grace)
    here.act("restore", here.grace)
    again = here.visitor(here.grace)
    maintains(here, again)
    assert names_in(ada, "/api/v1/presence") == {here.grace}
    assert again.call("GET", "/api/v1/notifications")[1]["unread_count"] >= 3
    with again.socket(OURS) as socket:
        inboxes = here.act("count", here.ada)["inboxes"]
        assert here.act("delete", here.grace)["inboxes"] == inboxes - 1
        assert socket.close_code() == 4503
    assert names_in(ada, "/api/v1/presence") == set()


def the_id(here: Site, name: str) -> int | str:
    """The id of a user on the wire."""
    key: str = here.act("count", name)["key"]
    return key if here.kind.text_ids else int(key)


def removed(socket: Socket) -> list[int]:
    while True:
        frame = socket.next()
        if frame["type"] == "inbox" and frame.get("removed"):
            return list(frame["removed"])


def titles(visitor: Visitor) -> set[str]:
    return {row["title"] for row in visitor.call("GET", "/api/v1/notifications")[1]["items"]}


def blocks_by_id(here: Site, ada: Visitor) -> None:
    """ada blocks grace and unblocks her by her id; pages of users are read by ids, too."""
    grace = {"id": the_id(here, here.grace), "username": here.grace}
    assert ada.call("POST", "/api/v1/blocks", {"username": here.grace})[1]["user"] == grace
    assert [item["user"] for item in ada.call("GET", "/api/v1/blocks")[1]["items"]] == [grace]
    assert [item["is_online"] for item in ada.call("GET", "/api/v1/presence")[1]["items"]] == [False]
    address = f"/api/v1/blocks/{quote(str(grace['id']), safe='')}"
    assert [ada.call("DELETE", address)[0] for _ in range(2)] == [204, 204]
    assert ada.call("GET", "/api/v1/blocks")[1]["items"] == []
    # (An id of no user, and one that none can have.)
    assert ada.call("DELETE", "/api/v1/blocks/7")[0] == 404
    assert ada.call("DELETE", "/api/v1/blocks/%00")[0] in (404, 422)
    assert [item["user"] for item in ada.call("GET", "/api/v1/presence")[1]["items"]] == [grace]
    everyone, page = ada.call("GET", "/api/v1/users")[1]["items"], ada.call("GET", "/api/v1/users?limit=1")[1]
    found = page["items"]
    while page["next"] is not None:
        status, page = ada.call("GET", f"/api/v1/users?limit=1&before={quote(str(page['next']))}")
        assert status == 200, page
        found += page["items"]
    assert grace in found
    assert found == everyone


def maintains(here: Site, grace: Visitor) -> None:
    """Repair, by the server and by the command, and epochs: of inboxes found by their users' keys."""
    unread = grace.call("GET", "/api/v1/notifications")[1]["unread_count"]
    here.act("spoil", here.grace)
    wait_until(lambda: grace.call("GET", "/api/v1/notifications")[1]["unread_count"] == unread)
    here.project.shell(SPOIL_AND_REPAIR)
    assert grace.call("GET", "/api/v1/notifications")[1]["unread_count"] == unread
    before = grace.call("GET", "/api/v1/notifications")[1]["epoch"]
    here.project.manage("rotate_epoch")
    assert grace.call("GET", "/api/v1/notifications")[1]["epoch"] != before
    here.project.manage("prune_notifications", "--days", "1")
    here.project.manage("check_inboxes")


def looks_at_the_admin(here: Site) -> None:
    if not here.kind.has_admin:
        return
    root = here.visitor(here.root)
    user = here.kind.label.lower().replace(".", "/")
    for page in (*PAGES, f"{user}/"):
        status, answer = root.call("GET", f"/admin/{page}")
        assert status == 200, (page, answer)
    profiles = root.call("GET", "/admin/messaging/userprofile/")[1].decode()
    links = [unescape(link) for link in re.findall(r'href="(/admin/messaging/\w+/\?\w+=[^"]+)"', profiles)]
    assert links
    # A filter that doesn't exist is answered by a redirect.
    assert {root.call("GET", link)[0] for link in links} == {200}
    for page in ("messaging/notification/", "messaging/userprofile/", "realtime/connection/"):
        assert root.call("GET", f"/admin/{page}?q=grace")[0] == 200, page


def is_gone(here: Site, ada: Visitor, grace: Visitor) -> None:
    """A deactivated or hidden user isn't offered, notified or signed in, and nothing stays pending for them."""
    assert grace.call("GET", "/api/v1/notifications")[0] == here.by_own_token()[0] == 401
    sign_in = {"username": here.grace, "password": PASSWORD}
    assert Visitor(here.server).call("POST", "/api/v1/session", sign_in)[0] == 401
    assert here.grace not in names_in(ada, "/api/v1/users")
    assert names_in(ada, "/api/v1/presence") == set()
    assert ada.call("POST", "/api/v1/messages", {"receiver": here.grace, "content": "?"})[0] == 404
    assert [error["code"] for error in here.publish(here.grace)["errors"]] == ["unknown_user"]
    assert here.project.manage("notify", here.grace, "?", check=False).returncode == 1
    here.act("tell", here.grace)
    wait_until(lambda: here.act("count", here.ada)["pending"] == 0)


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)
