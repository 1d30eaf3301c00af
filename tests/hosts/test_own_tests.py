"""A project's own tests run as without Doorbell: by Django's runner, with no thread of ours beside them."""

from collections.abc import Callable

import pytest

from conftest import size
from tests.hosts.conftest import ON_POSTGRESQL
from tests.hosts.project import SETTINGS, HostProject

CASES = size(12, full=32)
HEAD = """
import threading

from django.contrib.auth.models import User
from django.test import TestCase, TransactionTestCase

from messaging.models import Message, Notification
from messaging.notifications import notify


class Plain(TestCase):
    def test_a_user(self):
        User.objects.create_user("ada")
        with self.captureOnCommitCallbacks(execute=True):
            notify(User.objects.get(), "announcement", "Hello")
        self.assertEqual(Notification.objects.count(), 1)
"""
CASE = """

class Committed{number}(TransactionTestCase):
    def test_messages(self):
        self.assertEqual(User.objects.count(), 0)
        ada, grace = User.objects.create_user("ada"), User.objects.create_user("grace")
        for number in range(5):
            Message.objects.create(sender=ada, receiver=grace, content=str(number))
        self.assertEqual([thread.name for thread in threading.enumerate()], ["MainThread"])
"""
TESTS = HEAD + "".join(CASE.format(number=number) for number in range(CASES))
FILES = {"shop/__init__.py": "", "shop/tests.py": TESTS}
APP = "INSTALLED_APPS += ['shop']\n"
# Django's test database on SQLite is in memory unless a file is named.
ON_FILE = """
DATABASES["default"]["TEST"] = {"NAME": BASE_DIR / "test.sqlite3"}
DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=DELETE;"
"""
DATABASES = {"postgresql": ""} if ON_POSTGRESQL else {"memory": "", "file": ON_FILE}
# In `make test` on SQLite each database once, and each number of processes.
RUNS = [(database, parallel) for database in DATABASES for parallel in ("1", "2")]
if not ON_POSTGRESQL:
    RUNS = RUNS[:: size(3, full=1)]


@pytest.mark.parametrize(("database", "parallel"), RUNS)
def test_the_projects_tests_pass(host: Callable[..., HostProject], database: str, parallel: str) -> None:
    project = host(APP + DATABASES[database], FILES)
    done = project.manage("test", "shop", "--parallel", parallel, check=False)
    assert f"Ran {CASES + 1} tests" in done.stderr, done.stdout + done.stderr
    assert done.stderr.rstrip().splitlines()[-1].startswith(("OK", "Destroying")), done.stderr
    assert done.returncode == 0
    assert "Exception in thread" not in done.stderr


def test_one_label_runs_one_test_and_the_relay_can_be_asked_for(host: Callable[..., HostProject]) -> None:
    project = host(APP, FILES)
    done = project.manage("test", "shop.tests.Committed0", check=False)
    assert (done.returncode, "Ran 1 test " in done.stderr) == (0, True), done.stderr
    # The control: with the setting the thread runs in a test process, too.
    project.write(SETTINGS, "REALTIME_RELAY = True", append=True)
    done = project.manage("test", "shop.tests.Committed0", check=False)
    assert "['MainThread', 'relay'] != ['MainThread']" in done.stderr, done.stderr


WITHOUT_MIGRATIONS = """
class NoMigrations:
    def __contains__(self, app): return True
    def __getitem__(self, app): return None
MIGRATION_MODULES = NoMigrations()
"""
OWNERS = """
from django.contrib.auth.models import User
from django.test import TransactionTestCase

from messaging import inboxes
from messaging.models import Notification
from messaging.notifications import notify


class Owners(TransactionTestCase):
    def test_a_notification_that_changes_its_owner(self):
        ada, grace = User.objects.create_user("ada"), User.objects.create_user("grace")
        notify(ada, "announcement", "Hello")
        self.assertEqual(inboxes.state(ada.pk).unread_count, 1)
        Notification.objects.update(user=grace)
        self.assertEqual([inboxes.state(user.pk).unread_count for user in (ada, grace)], [0, 1])
"""


def test_without_migrations_the_tables_and_triggers_are_made_too(host: Callable[..., HostProject]) -> None:
    project = host(APP + WITHOUT_MIGRATIONS, {"shop/__init__.py": "", "shop/tests.py": OWNERS})
    done = project.manage("test", "shop", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
