"""A project's own tests of every kind, with `messaging.testing`: by its runner and by pytest. No warning passes."""

from collections.abc import Callable

import pytest

from tests.hosts.conftest import ON_POSTGRESQL
from tests.hosts.project import HostProject

SHOP = {
    "shop/__init__.py": "",
    "shop/models.py": """
from django.conf import settings
from django.db import models, transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from messaging.notifications import notify

class Order(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    def pay(self):
        notify(self.owner, "announcement", f"Order {self.pk} is paid", url=f"/orders/{self.pk}/")
    def ship(self):
        transaction.on_commit(self.tell)
    def tell(self):
        notify(self.owner, "announcement", f"Order {self.pk} is on its way")

@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def welcome(sender, instance, created, raw=False, **kwargs):
    if created and not raw:
        notify(instance, "announcement", "Welcome")
""",
    "shop/migrations/__init__.py": "",
    "shop/urls.py": """
from django.http import HttpResponse
from django.urls import path
from shop.models import Order
def pay(request, pk):
    Order.objects.get(pk=pk).pay()
    return HttpResponse("paid")
urlpatterns = [path("pay/<int:pk>/", pay)]
""",
    "fixtures/people.json": """[
{"model": "auth.user", "pk": 70, "fields": {"username": "loaded", "password": "!"}},
{"model": "shop.order", "pk": 7, "fields": {"owner": 70}},
{"model": "messaging.notification", "pk": 700, "fields":
  {"user": 70, "notification_type": "announcement", "title": "From a fixture", "level": "info"}}]""",
}
pytestmark = pytest.mark.timeout(600)
SETTINGS = """
INSTALLED_APPS += ["shop"]
FIXTURE_DIRS = [BASE_DIR / "fixtures"]
ROOT_URLCONF = "mysite.urls"
"""
# Channels' live server is a process of its own, and reads a database that is a file.
ON_FILE = (
    # Channels' server, which is forked, would put "test_" before the name a second time.
    """
DATABASES["default"]["TEST"] = {"NAME": "test_" + DATABASES["default"]["NAME"]}
"""
    if ON_POSTGRESQL
    else """
DATABASES["default"]["TEST"] = {"NAME": str(BASE_DIR / "test.sqlite3")}
DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=DELETE;"
"""
)
URLS = "\nfrom shop.urls import urlpatterns as shop\nurlpatterns += shop"
HEAD = """
import json, threading, urllib.request
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models.signals import post_save
from django.test import Client, LiveServerTestCase, TestCase, TransactionTestCase
from messaging import inboxes
from messaging.models import Notification
from messaging.testing import assert_notified, notifications_sent
from shop.models import Order

def ours():
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("relay", "presence", "realtime"))]

def order(name="ada"):
    return Order.objects.create(owner=User.objects.create_user(name))
"""
CASES = """
class Plain(TestCase):
    fixtures = ["people.json"]
    def test_in_one_line(self):
        paid = order()
        with notifications_sent() as sent:
            paid.pay()
        assert_notified(paid.owner, "announcement", count=1, title=f"Order {paid.pk} is paid", among=sent)
        assert_notified(paid.owner, count=2)
    def test_on_commit(self):
        shipped = order()
        with self.captureOnCommitCallbacks(execute=True):
            shipped.ship()
        assert_notified(shipped.owner, title=f"Order {shipped.pk} is on its way")
    def test_fixture(self):
        loaded = User.objects.get(username="loaded")
        assert_notified(loaded, count=1, title="From a fixture")
        client = Client()
        client.force_login(loaded)
        self.assertEqual(client.get("/api/v1/notifications").json()["unread_count"], 1)
    def test_a_factory_that_mutes_signals(self):
        muted, post_save.receivers = post_save.receivers, []
        post_save.sender_receivers_cache.clear()
        try:
            paid = order("quiet")
        finally:
            post_save.receivers = muted
            post_save.sender_receivers_cache.clear()
        assert_notified(paid.owner, count=0)
        paid.pay()
        assert_notified(paid.owner, count=1)
    def test_rows_made_by_a_factory(self):
        ada = User.objects.create_user("ada")
        Notification.objects.create(user=ada, notification_type="announcement", title="One")
        Notification.objects.bulk_create([Notification(user=ada, notification_type="announcement", title="Two")])
        assert_notified(ada, count=3)
        self.assertEqual(inboxes.state(ada.pk).unread_count, 3)

class Committed(TransactionTestCase):
    serialized_rollback = True
    def test_in_one_line(self):
        call_command("loaddata", "people.json", verbosity=0)
        shipped = Order.objects.get()
        shipped.ship()
        assert_notified(shipped.owner, title="Order 7 is on its way")
        self.assertEqual(ours(), [])

class Live(LiveServerTestCase):
    def test_what_a_view_makes(self):
        paid = order()
        with notifications_sent() as sent, urllib.request.urlopen(f"{self.live_server_url}/pay/{paid.pk}/"):
            pass
        assert_notified(paid.owner, count=1, title=f"Order {paid.pk} is paid", among=sent)
        self.assertEqual(ours(), [])
"""
CHANNELS = """
from channels.testing import ChannelsLiveServerTestCase
from websockets.sync.client import connect

class Sockets(ChannelsLiveServerTestCase):
    def test_a_socket_receives_what_the_test_makes(self):
        paid = order()
        client = Client()
        client.force_login(paid.owner)
        with connect(
            f"{self.live_server_ws_url}/ws/notifications/", origin=self.live_server_url,
            subprotocols=["notifications.v1"],
            additional_headers={"Cookie": f"sessionid={client.cookies['sessionid'].value}"},
        ) as socket:
            while json.loads(socket.recv(30))["type"] != "synced":
                pass
            paid.pay()
            while not (added := json.loads(socket.recv(30)).get("added")):
                pass
        self.assertEqual(added[0]["title"], f"Order {paid.pk} is paid")
        self.assertEqual(ours(), [])
"""
PYTEST = """
import pytest

def test_db(db, client, django_capture_on_commit_callbacks):
    shipped = order()
    with django_capture_on_commit_callbacks(execute=True):
        shipped.ship()
    shipped.pay()
    assert_notified(shipped.owner, count=3)

@pytest.mark.parametrize("number", range(3))
def test_transactional(transactional_db, number):
    shipped = order()
    shipped.ship()
    assert_notified(shipped.owner, count=1, title=f"Order {shipped.pk} is on its way")
    assert ours() == []

def test_live_server(live_server):
    paid = order()
    with urllib.request.urlopen(f"{live_server.url}/pay/{paid.pk}/"):
        pass
    assert_notified(paid.owner, count=1, title=f"Order {paid.pk} is paid")

def test_a_failure_shows_the_line_of_the_test(db):
    with notifications_sent() as sent:
        paid = order()
    assert_notified(paid.owner, count=1, title="Farewell", among=sent)
"""
FAILING = """
class Failing(TestCase):
    def test_a_failure(self):
        assert_notified(order().owner, title="Farewell")
"""
# Other plugins of this repository's own environment are none of the project's.
PLUGINS = ["-p", "no:valkey", "-p", "no:asyncio"]
INI = "[pytest]\nDJANGO_SETTINGS_MODULE = mysite.settings\nfilterwarnings = error\n"
SAYS = [
    "Expected a notification of ada with title='Farewell'; found 0.",
    "title='Welcome' (differs in title)",
]


@pytest.fixture
def shop(host: Callable[..., HostProject]) -> Callable[..., HostProject]:
    def make(tests: str, settings: str = "", **files: str) -> HostProject:
        project = host(SETTINGS + settings, SHOP | {"shop/tests.py": HEAD + tests} | files)
        project.write("mysite/urls.py", URLS, append=True)
        project.manage("makemigrations", "shop", "-v0")
        return project

    return make


def test_each_kind_of_test_case(shop: Callable[..., HostProject]) -> None:
    project = shop(CASES)
    done = project.python("-W", "error", "manage.py", "test", "shop", "--parallel", "2", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 7 tests" in done.stderr
    assert "Exception" not in done.stderr


def test_a_live_server_with_sockets_shows_what_a_test_makes(shop: Callable[..., HostProject]) -> None:
    done = shop(CHANNELS, ON_FILE).manage("test", "shop", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_failure_says_what_there_is_without_our_lines(shop: Callable[..., HostProject]) -> None:
    done = shop(FAILING).manage("test", "shop", check=False)
    assert done.returncode == 1
    assert all(text in done.stderr for text in SAYS), done.stderr
    assert "messaging/testing.py" not in done.stderr


def test_pytest_django(shop: Callable[..., HostProject]) -> None:
    project = shop(PYTEST, **{"pytest.ini": INI})
    done = project.python("-m", "pytest", "-q", *PLUGINS, "shop/tests.py", check=False)
    assert "1 failed, 5 passed" in done.stdout, done.stdout + done.stderr
    shown = done.stdout.replace("\nE  ", "\n")
    assert SAYS[0].replace("a notification", "1 notification") in shown
    assert "messaging/testing.py" not in done.stdout
