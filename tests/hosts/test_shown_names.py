"""Users who sign in by an e-mail address or a number: no other user sees either, and both work otherwise."""

import json
from collections.abc import Callable

import pytest

from tests.hosts.project import HostProject
from tests.hosts.test_user_models import MIGRATE
from tests.hosts.user_models import EMAIL, MANAGER
from tests.hosts.visitor import PASSWORD, QUICK, Visitor

OURS = "http://localhost"
NUMBER = """
class Account(AbstractBaseUser, PermissionsMixin):
    badge = models.IntegerField(unique=True)
    first_name = models.CharField(max_length=80)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    objects = People()
    USERNAME_FIELD = "badge"
    def get_full_name(self):
        return self.first_name
"""
PEOPLE = """
from django.contrib.auth import get_user_model
from django.core.management import call_command
people = get_user_model().objects
people.create_user({ada!r}, password={password!r}, first_name="Ada")
grace = people.create_user({grace!r}, password={password!r})
call_command("create_api_token", "publisher")
print(grace.pk)
"""
ANSWERS = (
    "session",
    "profile",
    "users",
    "users?search=ada",
    "messages",
    "notifications",
    "presence",
    "blocks",
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("model", "ada", "grace"),
    [(EMAIL, "ada@secret.example", "grace@secret.example"), (NUMBER, "7318001", "7318002")],
    ids=["e-mail", "number"],
)
def test_nobody_sees_the_name_of_the_login(
    host: Callable[..., HostProject], model: str, ada: str, grace: str
) -> None:
    project = host(
        f"{QUICK}INSTALLED_APPS += ['people']\nAUTH_USER_MODEL = 'people.Account'\n"
        "DOORBELL_USERS = DOORBELL_MESSAGES = DOORBELL_SESSION = True\n"
        "SILENCED_SYSTEM_CHECKS = ['realtime.W001']\n",
        {"people/__init__.py": "", "people/models.py": MANAGER + model},
    )
    *_, token, key = project.shell(MIGRATE + PEOPLE.format(ada=ada, grace=grace, password=PASSWORD)).split()
    server = project.start()
    try:
        hers, others = Visitor(server), Visitor(server)
        bad = {"username": "nobody", "password": PASSWORD}
        assert hers.call("POST", "/api/v1/session", bad)[0] == 401
        hers.sign_in(ada)
        others.sign_in(grace)
        seen = []
        with others.socket(OURS) as socket:
            seen += [socket.hello, socket.next()]
            said = {"receiver_id": int(key), "content": "Good morning"}
            status, message = hers.call("POST", "/api/v1/messages", said)
            assert status == 201, message
            while not seen[-1].get("added"):
                seen.append(socket.next())
            named = {"receiver": f"user {key}", "content": "By name"}
            assert hers.call("POST", "/api/v1/messages", named)[0] == 201
            refused = hers.call("POST", "/api/v1/messages", {"receiver": grace, "content": "?"})
            assert (refused[0], refused[1]["code"]) == (404, "unknown_user")
            for visitor in (hers, others):
                for path in ANSWERS:
                    status, answer = visitor.call("GET", f"/api/v1/{path}")
                    assert status == 200, answer
                    seen.append(answer)
        item = {"notification_type": "announcement", "title": "Published"}
        items = [item | {"user": grace}, item | {"user_id": int(key)}]
        published = Visitor(server).call("POST", "/api/v1/publish", items, Authorization=f"Bearer {token}")
        assert published[1]["created"] == 2, published
        project.manage("notify", grace, "By name")
        project.manage("notify", f"id:{key}", "By key")
        text = json.dumps([message, *seen])
        assert "New message from Ada" in text
        assert f"user {key}" in text
        assert ada not in text
        assert grace not in text
    finally:
        server.kill()
