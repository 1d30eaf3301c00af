"""What all scenarios of a run share: PostgreSQL, the template of their databases with users in it, kinds of servers."""

import contextlib
import functools
import json
from collections.abc import Iterator
from pathlib import Path

from tests.live.servers import Database, Server, base_environment, manage
from tools.services import PostgresServer

from . import faults

# More users than the live tests' template has, with session keys of the same form.
MORE_PEOPLE = """
import json
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone
password = User.objects.first().password
User.objects.bulk_create([User(username=f"chaos{n:05}", password=password) for n in range(%d)], batch_size=2000)
store, until, people, sessions = SessionStore(), timezone.now() + timezone.timedelta(days=1), [], []
for user in User.objects.filter(username__startswith="chaos").order_by("pk"):
    login = {"_auth_user_id": str(user.pk), "_auth_user_hash": user.get_session_auth_hash(),
        "_auth_user_backend": settings.AUTHENTICATION_BACKENDS[0]}
    key = f"session{user.pk:025}"
    sessions.append(Session(session_key=key, session_data=store.encode(login), expire_date=until))
    people.append({"id": user.pk, "username": user.username, "session": key})
Session.objects.bulk_create(sessions, batch_size=2000)
print(json.dumps(people))
"""


class ChaosServer(Server):
    """Besides the live tests' servers: the tutorial's, and one whose clock is wrong."""

    KINDS = {
        **Server.KINDS,
        "tutorial": [
            *("-m", "uvicorn", "--port", "{port}", "--log-level", "warning", "--lifespan", "off"),
            "tests.chaos.tutorial:application",
        ],
        "skewed": ["-c", faults.SKEWED_SERVE, "{port}"],
    }


class Testbed:
    """The template of the databases, and the PostgreSQL that a scenario may restart."""

    __test__ = False  # pytest takes a class of such a name for a test

    def __init__(
        self,
        folder: Path,
        template: Database,
        environment: dict[str, str],
        postgresql: PostgresServer | None = None,
    ) -> None:
        self.folder, self.template, self._postgresql = folder, template, postgresql
        self.environment = {name: value for name, value in environment.items() if name != "REDIS_URL"}

    @property
    def postgresql(self) -> PostgresServer:
        assert self._postgresql is not None, "this PostgreSQL must not be restarted"
        return self._postgresql

    @functools.cached_property
    def sqlite_template(self) -> Database:
        return Database.template(self.folder, "", self.environment)


@contextlib.contextmanager
def open_testbed(folder: Path, people: int) -> Iterator[Testbed]:
    """A testbed with a PostgreSQL of its own, and this many further users."""
    environment = base_environment(folder / "bytecode")
    with PostgresServer() as postgresql:
        template = Database.template(folder, postgresql.url, environment)
        code = MORE_PEOPLE % people
        template.people += json.loads(manage(template.environment(environment), "shell", "-v0", "-c", code))
        yield Testbed(folder, template, environment, postgresql)
