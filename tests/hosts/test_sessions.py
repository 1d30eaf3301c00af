"""Every session engine of Django's, and a project's own: sockets by cookie and by ticket, and the ends of a login."""

from collections.abc import Callable

import pytest

from conftest import size
from tests.hosts.project import HostProject
from tests.hosts.visitor import QUICK, Visitor, serving

# A cache that the server's and the test's processes share.
CACHE = """
CACHES = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": BASE_DIR / "cache"}}
"""
OWN_STORE = """
from django.contrib.sessions.backends.db import SessionStore as Stock
class SessionStore(Stock):
    @classmethod
    def get_model_class(cls):
        from devices.models import DeviceSession
        return DeviceSession
"""
OWN_MODEL = """
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
class DeviceSession(AbstractBaseSession):
    device = models.CharField(max_length=100, default="")
    @classmethod
    def get_session_store_class(cls):
        from devices.store import SessionStore
        return SessionStore
"""
BACKENDS = "django.contrib.sessions.backends"
WITHOUT_APP = "INSTALLED_APPS.remove('django.contrib.sessions')\n"
ENGINES = {
    "db": f"SESSION_ENGINE = '{BACKENDS}.db'",
    "cached_db": CACHE + f"SESSION_ENGINE = '{BACKENDS}.cached_db'",
    "cache": WITHOUT_APP + CACHE + f"SESSION_ENGINE = '{BACKENDS}.cache'\nSESSION_CACHE_ALIAS = 'default'",
    "file": WITHOUT_APP + f"SESSION_ENGINE = '{BACKENDS}.file'\nSESSION_FILE_PATH = BASE_DIR / 'sessions'",
    "signed_cookies": WITHOUT_APP
    + f"SESSION_ENGINE = '{BACKENDS}.signed_cookies'\nSESSION_SAVE_EVERY_REQUEST = True\n"
    "SESSION_SERIALIZER = 'django.contrib.sessions.serializers.JSONSerializer'",
    "custom": "INSTALLED_APPS += ['devices']\nSESSION_ENGINE = 'devices.store'",
}
FILES = {
    "devices/__init__.py": "",
    "devices/models.py": OWN_MODEL,
    "devices/store.py": OWN_STORE,
    "sessions/.keep": "",
}
OURS = "http://localhost"
# In `make test`. (The database's engine is that of all other projects.)
CHOSEN = list(ENGINES) if size(0, full=1) else ["cached_db", "signed_cookies", "custom"]


@pytest.mark.parametrize("engine", CHOSEN)
def test_sockets_follow_the_login(host: Callable[..., HostProject], engine: str) -> None:
    # The sweep that would find the end of a login later is kept away.
    project = host(f"{ENGINES[engine]}\n{QUICK}REALTIME_RECHECK_SECONDS = 3600\n", FILES)
    if engine == "custom":
        project.manage("makemigrations", "devices")
    with serving(project) as server:
        ada, elsewhere = Visitor(server), Visitor(server)
        ada.sign_in()
        elsewhere.sign_in()
        assert ada.hello(OURS)["user"]["username"] == "ada"
        ticket = ada.call("POST", "/api/v1/ticket", {})[1]["ticket"]
        with (
            ada.socket(OURS, ticket=ticket) as by_ticket,
            ada.socket(OURS) as by_cookie,
            elsewhere.socket(OURS) as other,
        ):
            assert ada.call("DELETE", "/api/v1/session")[0] == 204
            assert by_ticket.close_code() == 4503
            assert by_cookie.close_code() == 4503
            # The other login goes on, until all of them end.
            assert elsewhere.hello(OURS)["user"]["username"] == "ada"
            status, answer = elsewhere.call("DELETE", "/api/v1/sessions")
            if engine == "signed_cookies":
                assert (status, answer["code"]) == (409, "sessions_in_cookies")
                return
            assert status == 204
            assert other.close_code() == 4503
        assert elsewhere.call("GET", "/api/v1/notifications")[0] == 401
