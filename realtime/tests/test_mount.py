"""Where the API and the socket are follows from the URLconf, in every way in which a project can include it."""

import sys
from types import ModuleType

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.test import Client
from django.urls import NoReverseMatch, include, path, re_path, set_script_prefix
from django.utils import translation

from realtime import mount
from realtime.http import asyncapi

DEFAULT = "/api/v1/", "/ws/notifications/"
OURS = include("realtime.urls")
WAYS = {
    "default": ([path("", OURS)], DEFAULT),
    "prefix": ([path("notify/", OURS)], ("/notify/api/v1/", "/notify/ws/notifications/")),
    "two levels": (
        [path("a/", include([path("b/", OURS)]))],
        ("/a/b/api/v1/", "/a/b/ws/notifications/"),
    ),
    "regular expression": ([re_path("^bell/", OURS)], ("/bell/api/v1/", "/bell/ws/notifications/")),
    "namespace": (
        [path("n/", include(([path("", OURS)], "shop"), namespace="mine"))],
        ("/n/api/v1/", "/n/ws/notifications/"),
    ),
    "languages": (i18n_patterns(path("", OURS)), ("/en-us/api/v1/", "/en-us/ws/notifications/")),
}


@pytest.fixture
def urlconf(settings):
    """Make these the project's URLs."""
    modules: list[str] = []

    def make(patterns):
        module = ModuleType(f"urls_of_test_{len(modules)}_{id(modules)}")
        vars(module)["urlpatterns"] = patterns
        sys.modules[module.__name__] = module
        modules.append(module.__name__)
        settings.ROOT_URLCONF = module.__name__

    yield make
    for name in modules:
        del sys.modules[name]


@pytest.mark.parametrize("way", WAYS)
def test_api_and_socket_are_side_by_side_wherever_the_api_is_included(urlconf, way):
    patterns, (api, socket) = WAYS[way]
    urlconf(patterns)
    assert (mount.api_path(), mount.socket_path()) == (api, socket)
    assert mount.is_socket(socket[1:])
    elsewhere = {expected for _, (_, expected) in WAYS.values()} - {socket}
    # A language's prefix matches for each language.
    assert not any(mount.is_socket(path[1:]) for path in elsewhere)
    answer = Client().get(f"{api}openapi.json")
    assert f"{api}session" in answer.json()["paths"]
    assert socket in answer.json()["info"]["description"]
    assert f"{api}openapi.json" in Client().get(f"{api}docs").content.decode()
    assert Client().get(f"{api}nowhere").json()["code"] == "not_found"


def test_a_language_in_the_path_is_the_pages(urlconf):
    urlconf(i18n_patterns(path("", OURS)))
    with translation.override("de"):
        assert mount.socket_path() == "/de/ws/notifications/"
    # Without a language in force, as in a handshake.
    assert mount.is_socket("de/ws/notifications/")
    assert not mount.is_socket("ws/notifications/")


def test_the_default_language_may_have_no_prefix(urlconf):
    urlconf(i18n_patterns(path("", OURS), prefix_default_language=False))
    assert mount.socket_path() == "/ws/notifications/"
    assert mount.is_socket("ws/notifications/")
    assert mount.is_socket("de/ws/notifications/")


def test_a_path_with_parameters_routes_the_socket_but_has_no_address_of_its_own(urlconf):
    urlconf([path("<slug:tenant>/", OURS)])
    assert mount.is_socket("acme/ws/notifications/")
    with pytest.raises(NoReverseMatch, match="parameters"):
        mount.api_path()


def test_without_the_api_the_socket_is_at_its_default_address(urlconf):
    urlconf([])
    assert mount.is_socket("ws/notifications/")
    with pytest.raises(NoReverseMatch, match="isn't included"):
        mount.socket_path()


def test_a_script_prefix_stands_before_both(urlconf):
    urlconf([path("notify/", OURS)])
    set_script_prefix("/app/")
    try:
        assert mount.api_path() == "/app/notify/api/v1/"
        assert mount.socket_path() == "/app/notify/ws/notifications/"
        assert mount.prefix() == "notify/"
        assert mount.is_socket("notify/ws/notifications/")
    finally:
        set_script_prefix("/")


def test_asyncapi_names_the_prefix_beside_the_host(urlconf):
    urlconf([path("notify/", OURS)])
    document = Client().get("/notify/api/v1/asyncapi.json").json()
    assert document["servers"]["here"] == {"host": "testserver", "protocol": "ws", "pathname": "/notify"}
    assert document["channels"]["notifications"]["address"] == "/ws/notifications/"
    assert "pathname" not in asyncapi.document("example", secure=False)["servers"]["here"]
