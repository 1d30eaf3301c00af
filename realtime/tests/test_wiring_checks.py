"""How Doorbell is wired into a project: each mistake is found, and the pasted hint mends it."""

import sys

import pytest
from django.apps import apps
from django.urls import path

from messaging.tests.pasting import lines_of, paste
from realtime import wiring_checks as checks
from realtime.tests import urls_without_doorbell

BEFORE = "django.middleware.security.SecurityMiddleware"
AFTER = "django.middleware.clickjacking.XFrameOptionsMiddleware"
S, C, A, L, M = (
    checks.SESSION,
    checks.CSRF,
    checks.AUTHENTICATION,
    checks.LOGIN_REQUIRED,
    checks.MESSAGES,
)
ALL = [checks.urls, checks.asgi_application, checks.runserver, checks.middleware, checks.api_documents]


def test_nothing_is_wrong_with_this_repositorys_project(settings):
    for debug in (True, False):
        settings.DEBUG = debug
        assert [message for check in ALL for message in check()] == []


# --- Middleware --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "said", "mended"),
    [
        ([BEFORE, C, A, AFTER], "lacks SessionMiddleware", [BEFORE, S, C, A, AFTER]),
        ([BEFORE, S, A, M, AFTER], "lacks CsrfViewMiddleware", [BEFORE, S, C, A, M, AFTER]),
        ([BEFORE, S, C, AFTER], "lacks AuthenticationMiddleware", [BEFORE, S, C, A, AFTER]),
        ([], "lacks SessionMiddleware, lacks CsrfViewMiddleware, lacks AuthenticationMiddleware", [S, C, A]),
        ([BEFORE, M], "lacks SessionMiddleware", [BEFORE, S, C, A, M]),
        ([A, BEFORE, C, S], "has AuthenticationMiddleware before SessionMiddleware", [S, C, A, BEFORE]),
        ([S, C, L, A], "has LoginRequiredMiddleware before AuthenticationMiddleware", [S, C, A, L]),
        ([S, C, L], "lacks AuthenticationMiddleware", [S, C, A, L]),
    ],
)
def test_middleware_that_is_missing_or_in_the_wrong_order(settings, listed, said, mended):
    settings.MIDDLEWARE = listed
    [warning] = checks.middleware()
    assert (warning.id, said in warning.msg) == ("realtime.W023", True)
    paste(warning.hint, settings)
    assert mended == settings.MIDDLEWARE
    assert checks.middleware() == []


@pytest.mark.parametrize(
    "listed", [[S, C, A], [C, S, A], [S, A, C], (S, C, A, L), [S, C, A, "no.such.Middleware"]]
)
def test_middleware_that_is_right(settings, listed):
    settings.MIDDLEWARE = listed
    assert checks.middleware() == []


def test_a_csrf_token_in_the_session_needs_the_session_first(settings):
    settings.MIDDLEWARE, settings.CSRF_USE_SESSIONS = [C, S, A], True
    [warning] = checks.middleware()
    assert "has CsrfViewMiddleware before SessionMiddleware" in warning.msg
    paste(warning.hint, settings)
    assert checks.middleware() == []


def test_subclasses_count(settings, monkeypatch):
    from django.contrib.sessions.middleware import SessionMiddleware

    monkeypatch.setattr(urls_without_doorbell, "Own", type("Own", (SessionMiddleware,), {}), raising=False)
    settings.MIDDLEWARE = ["realtime.tests.urls_without_doorbell.Own", C, A]
    assert checks.middleware() == []


def test_with_a_login_of_the_projects_own_no_session_is_needed(settings):
    settings.DOORBELL_AUTHENTICATE = "django.contrib.auth.get_user"
    settings.MIDDLEWARE = [C]
    assert checks.middleware() == []
    settings.MIDDLEWARE = []
    assert len(checks.middleware()) == 1


# --- URLs, ASGI, runserver ---------------------------------------------------------------------------------------


def test_urls_that_are_not_included(settings, monkeypatch):
    settings.ROOT_URLCONF = "realtime.tests.urls_without_doorbell"
    [warning] = checks.urls()
    assert warning.id == "realtime.W022"
    assert "At the end of realtime/tests/urls_without_doorbell.py:" in str(warning.hint)
    namespace = {"path": path, "urlpatterns": []}
    exec(lines_of(warning.hint), namespace)
    fresh = type(sys)("realtime.tests.urls_mended")
    fresh.urlpatterns = namespace["urlpatterns"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, fresh.__name__, fresh)
    settings.ROOT_URLCONF = fresh.__name__
    assert checks.urls() == []


@pytest.fixture
def asgi(settings, monkeypatch, tmp_path):
    """Write an application, and name it in the settings."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, checks.SOCKETS)

    def write(text):
        (tmp_path / "shop_asgi.py").write_text(text)
        monkeypatch.delitem(sys.modules, "shop_asgi", raising=False)
        settings.ASGI_APPLICATION = "shop_asgi.application"

    yield write
    sys.modules.pop("shop_asgi", None)


AS_STARTPROJECT_MADE_IT = (
    "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()"
)


@pytest.mark.parametrize("comment", ["", "# from realtime.asgi import with_sockets\n"])
def test_an_application_without_sockets(asgi, comment):
    text = comment + AS_STARTPROJECT_MADE_IT
    asgi(text)
    [warning] = checks.asgi_application()
    assert (warning.id, "serves no sockets" in warning.msg) == ("realtime.W021", True), warning.msg
    assert "At the end of shop_asgi.py:" in str(warning.hint)
    asgi(f"{text}\n{lines_of(warning.hint)}")
    assert checks.asgi_application() == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import no_such_module", "ModuleNotFoundError"),
        ("def", "SyntaxError"),
        ("other = 1", "ImportError"),
    ],
)
def test_an_application_that_cannot_be_imported(asgi, settings, text, error):
    """Lines at its end wouldn't mend it."""
    asgi(text)
    [warning] = checks.asgi_application()
    assert (warning.id, f"can't be imported ({error}" in warning.msg) == ("realtime.W021", True), warning.msg
    paste(warning.hint, settings)
    assert checks.asgi_application() == []


def test_an_application_that_is_not_named(settings):
    settings.ASGI_APPLICATION = None
    [warning] = checks.asgi_application()
    assert warning.id == "realtime.W021"
    paste(warning.hint, settings)
    assert settings.ASGI_APPLICATION == "realtime.asgi.application"
    assert checks.asgi_application() == []


@pytest.mark.parametrize(
    "text",
    [
        "from realtime.asgi import with_sockets\nraise SystemExit\napplication = with_sockets(None)",
        "from realtime.sockets import routing\nraise SystemExit\napplication = routing.websocket_urlpatterns",
        "import realtime.asgi\nraise SystemExit\napplication = realtime.asgi.with_sockets(None)",
        # Another module has it: that is seen by importing it.
        "import realtime.sockets.routing\napplication = None",
    ],
)
def test_an_application_with_sockets_is_recognized_by_its_text(asgi, text):
    """It isn't imported for that: an application may do anything."""
    asgi(text)
    assert checks.asgi_application() == []


def test_only_daphnes_runserver_needs_it_in_the_settings(settings, monkeypatch):
    settings.ASGI_APPLICATION = None
    monkeypatch.setattr(apps, "is_installed", lambda name: name != "daphne")
    assert checks.asgi_application() == []


def test_runserver_needs_daphne(settings, monkeypatch):
    settings.DEBUG = True
    monkeypatch.setattr(apps, "is_installed", lambda name: name in settings.INSTALLED_APPS)
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "daphne"]
    [warning] = checks.runserver()
    assert warning.id == "realtime.W020"
    paste(warning.hint, settings)
    assert settings.INSTALLED_APPS[0] == "daphne"
    assert checks.runserver() == []
    settings.INSTALLED_APPS = []
    assert checks.runserver() == []


# --- The API's documents -----------------------------------------------------------------------------------------


def test_without_ninja_the_documents_come_from_elsewhere(monkeypatch, settings):
    monkeypatch.setattr(apps, "is_installed", lambda name: name != "ninja")
    [warning] = checks.api_documents()
    assert (warning.id, "cdn.jsdelivr.net" in warning.msg) == ("realtime.W024", True)
    assert lines_of(warning.hint).strip() == 'INSTALLED_APPS = [*INSTALLED_APPS, "ninja"]'
