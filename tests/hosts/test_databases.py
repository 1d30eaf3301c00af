"""What a project may set of its database connections and channel layers: each works, and the answers are right."""

from collections.abc import Callable

import pytest

from tests.hosts.conftest import ON_POSTGRESQL
from tests.hosts.project import HostProject
from tests.hosts.visitor import QUICK, Visitor, serving
from tests.live.servers import find_faults

KEPT = "CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True"
POOLED = (
    "CONN_HEALTH_CHECKS=True, DISABLE_SERVER_SIDE_CURSORS=True, "
    "OPTIONS={**DATABASES['default'].get('OPTIONS', {}), 'pool': {'max_size': 10}}"
)
CONNECTIONS = {"kept": KEPT, "pooled": POOLED} if ON_POSTGRESQL else {"kept": KEPT}
SETTINGS = """
DATABASES["default"].update(ATOMIC_REQUESTS=True, {connections})
CHANNEL_LAYERS = {{
    "chat": {{"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    "default": {{"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    "jobs": {{"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {{"capacity": 1}}}},
}}
USE_I18N = False
"""
NOTIFY = """
from django.contrib.auth.models import User
from messaging.notifications import notify
notify(User.objects.get(username="ada"), "announcement", "It rings")
"""
ADMIN = """
from django.contrib.auth.models import User
from django.test import Client
from messaging.models import Notification
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.create_superuser("root"))
row = Notification.objects.get(title="It rings")
page = f"/admin/messaging/notification/{row.pk}/change/"
assert client.get(page).status_code == 200
assert client.post(page, {"is_read": "on"}).status_code == 302
print(Notification.objects.filter(title="It rings", is_read=True).count())
"""


@pytest.mark.parametrize("connections", CONNECTIONS)
def test_connections_are_the_projects(host: Callable[..., HostProject], connections: str) -> None:
    project = host(SETTINGS.format(connections=CONNECTIONS[connections]) + QUICK)
    with serving(project) as server:
        ada, grace = Visitor(server), Visitor(server)
        ada.sign_in()
        grace.sign_in("grace")
        with ada.socket("http://localhost") as socket:
            sent = grace.call("POST", "/api/v1/messages", {"receiver": "ada", "content": "Hello"})
            assert sent[0] == 201, sent
            frame = socket.next()
            while frame["type"] != "revision" and not frame.get("added"):
                frame = socket.next()
            assert frame["unread_count"] == 1
        project.shell(NOTIFY)
        assert ada.call("GET", "/api/v1/notifications")[1]["unread_count"] == 2
        assert project.shell(ADMIN).strip() == "1"
        assert ada.hello("http://localhost")["unread_count"] == 1
        assert ada.call("POST", "/api/v1/notifications/read", {"all": True})[1]["unread_count"] == 0
        ticket = ada.call("POST", "/api/v1/ticket", {})[1]["ticket"]
        assert ada.hello("http://localhost", ticket=ticket)["user"]["username"] == "ada"
    assert not find_faults([(project.log, 0)])
