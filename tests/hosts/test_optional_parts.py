"""What a project needn't have, and what stands beside Doorbell in any order."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.hosts.project import HostProject
from tests.hosts.visitor import set_up

NO_ADMIN = """
INSTALLED_APPS.remove("django.contrib.admin")
LOGIN_URL = "login"
"""
URLS_WITHOUT_ADMIN = """
from django.urls import include, path
urlpatterns = [path("", include("realtime.urls"))]
"""
USERS_WITHOUT_ADMIN = """
from django.contrib import admin
from django.contrib.auth.models import User
admin.site.unregister(User)
"""
USERS_WITHOUT_SEARCH = USERS_WITHOUT_ADMIN + "admin.site.register(User)\n"
ADMIN_PAGES = """
from django.contrib.auth.models import User
from django.test import Client
root = User.objects.create_superuser("root")
client = Client(headers={"host": "localhost"})
client.force_login(root)
for page in ("message/add/", "block/add/", "apitoken/add/", "notification/send/", "userprofile/"):
    answer = client.get(f"/admin/messaging/{page}")
    assert answer.status_code == 200, (page, answer.status_code)
print("200")
"""


def test_a_project_without_the_admin_starts(host: Callable[..., HostProject]) -> None:
    project = host(NO_ADMIN, {"mysite/urls.py": URLS_WITHOUT_ADMIN})
    assert "no issues" in project.manage("check").stdout


@pytest.mark.parametrize("admin", [USERS_WITHOUT_ADMIN, USERS_WITHOUT_SEARCH], ids=["absent", "no search"])
def test_users_neednt_be_in_the_admin_or_searchable(host: Callable[..., HostProject], admin: str) -> None:
    project = host("INSTALLED_APPS += ['shop']", {"shop/__init__.py": "", "shop/admin.py": admin})
    assert set_up(project, ADMIN_PAGES).strip() == "200"


def test_the_sessions_app_is_needed_only_for_sessions_in_the_database(
    host: Callable[..., HostProject],
) -> None:
    cached = """
INSTALLED_APPS.remove("django.contrib.sessions")
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
"""
    assert "no issues" in host(cached).manage("check").stdout


OURS, THEIRS = 'path("", include("realtime.urls"))', 'path("api/shop/", lambda request: HttpResponse("shop"))'
URLS = """
from django.http import HttpResponse
from django.urls import include, path
urlpatterns = [{}, {}]
"""
ASGI = """
import os
from django.core.asgi import get_asgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
http = get_asgi_application()
from channels.generic.websocket import WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path
from realtime.asgi import with_sockets
from realtime.sockets.routing import websocket_urlpatterns
class Echo(WebsocketConsumer):
    def receive(self, text_data):
        self.send(text_data)
chat = [path("ws/chat/", Echo.as_asgi())]
application = {}
"""
COMBINED = 'ProtocolTypeRouter({{"http": http, "websocket": URLRouter({})}})'


@pytest.mark.parametrize(
    ("urls", "application"),
    [
        ((OURS, THEIRS), "with_sockets(http, chat)"),
        ((THEIRS, OURS), COMBINED.format("[*websocket_urlpatterns, *chat]")),
        ((THEIRS, OURS), COMBINED.format("[*chat, *websocket_urlpatterns]")),
    ],
    ids=["with_sockets", "ours first", "theirs first"],
)
def test_routes_and_consumers_stand_in_any_order(
    host: Callable[..., HostProject], urls: tuple[str, str], application: str
) -> None:
    files = {"mysite/urls.py": URLS.format(*urls), "mysite/asgi.py": ASGI.format(application)}
    settings = "ASGI_APPLICATION = 'mysite.asgi.application'\n"
    project = host(f"{settings}REALTIME_DRAIN_SECONDS = REALTIME_PREDRAIN_SECONDS = 0", files)
    set_up(project)
    server = project.start()
    try:
        with urllib.request.urlopen(f"{server.url}/api/shop/") as answer:
            assert answer.read() == b"shop"
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"{server.url}/api/v1/nowhere")
        assert json.loads(missing.value.read())["code"] == "not_found"
        with connect(f"ws://{server.address}/ws/chat/") as chat:
            chat.send("hello")
            assert chat.recv(10) == "hello"
        with connect(f"ws://{server.address}/ws/notifications/", origin=Origin(server.url)) as ours:
            with pytest.raises(ConnectionClosed) as closed:
                ours.recv(10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4500
    finally:
        server.kill()
