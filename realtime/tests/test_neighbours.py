"""Beside other APIs, even below the same prefix: nothing is shadowed, neither ours nor theirs."""

import pytest
from django.core.checks import run_checks
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path, re_path
from ninja import NinjaAPI
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ViewSet

from .test_mount import OURS, urlconf

__all__ = ["urlconf"]


def says(text):
    return lambda request, **arguments: HttpResponse(text)


THEIRS = path("api/v1/", include([path("", says("root")), path("orders/", says("orders"))]))
SINGLE_PAGE = re_path(".*", says("page"))


@pytest.mark.parametrize(
    "patterns", [[path("", OURS), THEIRS], [THEIRS, path("", OURS)]], ids=["first", "last"]
)
def test_an_api_v1_of_the_projects_own(urlconf, patterns):
    urlconf([*patterns, SINGLE_PAGE])
    client = Client()
    assert client.get("/api/v1/").content == b"root"
    assert client.get("/api/v1/orders/").content == b"orders"
    # Declared by neither: ours, although the single page would take it.
    for unknown in ("/api/v1/nowhere", "/api/v1/orders/7/"):
        answer = client.get(unknown)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), unknown
    # Not below our prefix.
    for page in ("/api/", "/api/v2/orders", "/shop"):
        assert client.get(page).content == b"page", page
    # Without a catch-all, Django's own redirect to the address with a slash.
    urlconf(patterns)
    assert client.get("/api/v1/orders")["Location"] == "/api/v1/orders/"
    assert client.get("/api/v1/nowhere").json()["code"] == "not_found"


def test_a_second_ninja_api_keeps_its_names_and_addresses(urlconf):
    api = NinjaAPI(title="Shop")

    @api.get("orders")
    def orders(request):
        return ["one"]

    urlconf([path("", OURS), path("api/", api.urls)])
    assert Client().get("/api/orders").json() == ["one"]
    assert Client().get("/api/openapi.json").json()["info"]["title"] == "Shop"
    assert Client().get("/api/v1/openapi.json").json()["info"]["title"] == "Doorbell"
    assert Client().get("/api/v1/nowhere").json()["code"] == "not_found"
    assert Client().get("/api/nowhere").status_code == 404
    assert "json" not in Client().get("/api/nowhere")["Content-Type"]


@pytest.mark.django_db
def test_django_rest_framework_keeps_its_root_and_its_routes(urlconf):
    class Orders(ViewSet):  # type: ignore[misc]
        permission_classes = [AllowAny]

        def list(self, request):
            return Response(["one"])

    router = DefaultRouter()
    router.register("orders", Orders, basename="order")
    urlconf([path("", OURS), path("api/v1/", include(router.urls))])
    assert Client().get("/api/v1/openapi.json").json()["info"]["title"] == "Doorbell"
    assert Client().get("/api/v1/orders/").json() == ["one"]
    root = Client().get("/api/v1/", headers={"accept": "application/json"})
    assert root.json() == {"orders": "http://testserver/api/v1/orders/"}
    assert Client().get("/api/v1/session").json()["user"] is None
    assert Client().get("/api/v1/orders/7/").json()["code"] == "not_found"


def test_no_namespace_is_taken_twice(urlconf):
    """`api` is what a project calls its own."""
    urlconf([path("", OURS), path("api/", include(([path("x", says("x"))], "api")))])
    assert [message.id for message in run_checks() if message.id == "urls.W005"] == []


def test_health_and_metrics_are_apart(urlconf):
    urlconf([path("", OURS), path("healthz", says("theirs"))])
    assert Client().get("/healthz").content == b"theirs"
    assert Client().get("/readyz").status_code == 404
    urlconf([path("", OURS), path("ops/", include("realtime.ops_urls"))])
    assert Client().get("/ops/healthz").content == b"ok"
