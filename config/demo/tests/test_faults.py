import json
import uuid
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.test import Client

from messaging import tokens
from messaging.models import ApiToken, Inbox, Notification
from realtime.models import Connection, ServerProcess

pytestmark = pytest.mark.django_db

FAULTS = ("/demo/ring", "/demo/lose-process", "/demo/sign-out")


@pytest.fixture(autouse=True)
def demo(settings):
    settings.DEMO = True


@pytest.fixture
def secret(ada):
    return tokens.make("test", user=ada)[1]


def post(path, body=None, secret=None, **headers):
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    raw = body if isinstance(body, bytes) else json.dumps(body)
    return Client(enforce_csrf_checks=True).post(path, raw, content_type="application/json", headers=headers)


class TestWithoutDemo:
    @pytest.mark.parametrize("path", ["/demo/sign-in", *FAULTS, "/demo/", "/demo/anything"])
    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    def test_every_demo_address_is_404(self, settings, secret, path, method):
        settings.DEMO = False
        for headers in ({}, {"Authorization": f"Bearer {secret}"}):
            browser = Client(enforce_csrf_checks=True)
            answer = browser.generic(
                method, path, b'{"username": "ada"}', "application/json", headers=headers
            )
            assert answer.status_code == 404
            assert not answer.cookies
        assert ApiToken.objects.count() == 1


class TestAccess:
    @pytest.mark.parametrize("path", FAULTS)
    def test_an_anonymous_request_is_refused(self, path, ada):
        assert post(path, {"count": 1}).status_code == 401
        assert post(path, {"count": 1}, secret="doorbell_no").status_code == 401
        assert Client().get(path).status_code == 405

    @pytest.mark.parametrize("path", FAULTS)
    def test_a_session_needs_its_csrf_token(self, path, ada):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(ada)
        answer = browser.post(path, {"count": 1}, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")

    @pytest.mark.parametrize("path", FAULTS)
    def test_a_request_from_another_site_is_refused(self, path, secret):
        answer = post(path, {"count": 1}, secret, Origin="https://elsewhere.example")
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
        assert post(path, {"count": 1}, secret, Origin="http://testserver").status_code in (202, 204)


class TestRing:
    def test_each_of_a_few_is_a_revision_of_its_own(self, ada, grace, secret):
        assert post("/demo/ring", {"count": 5}, secret).json() == {"created": 5}
        inbox = Inbox.objects.get(user=ada)
        assert (inbox.revision, inbox.unread_count) == (5, 5)
        assert {row.level for row in ada.notifications.all()} == {"info", "success", "warning", "error"}
        assert not Notification.objects.exclude(user=ada).exists()

    def test_a_flood_arrives_in_full(self, ada, secret):
        assert post("/demo/ring", {"count": 500}, secret).status_code == 202
        assert ada.notifications.count() == 500

    @pytest.mark.parametrize("count", [0, -1, 501, 1.5, "5", True, None, [5]])
    def test_takes_a_whole_number_from_1_to_500(self, secret, count):
        answer = post("/demo/ring", {"count": count}, secret)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert not Notification.objects.exists()

    @pytest.mark.parametrize(("body", "status"), [(b"", 400), (b"{", 400), (b"\xff", 400), (b"[1]", 422)])
    def test_refuses_what_is_not_an_object(self, secret, body, status):
        assert post("/demo/ring", body, secret).status_code == status


class TestLoseProcess:
    def test_only_ones_own_connections_are_left_with_a_dead_process(self, ada, grace, secret):
        alive = ServerProcess.objects.create(name="alive", lease_until=Now() + timedelta(hours=1))
        for user in (ada, grace):
            Connection.objects.create(id=uuid.uuid4(), process=alive, user=user, login_hash="x")
        assert post("/demo/lose-process", {}, secret).json() == {"connections": 1}
        lost = ServerProcess.objects.get(lease_until__lt=Now())
        assert [connection.user for connection in lost.connections.all()] == [ada]
        assert [connection.user for connection in alive.connections.all()] == [grace]


class TestSignOut:
    def test_ends_the_token_that_asks(self, secret):
        assert post("/demo/sign-out", {}, secret).status_code == 204
        assert post("/demo/sign-out", {}, secret).status_code == 401

    def test_ends_the_session_that_asks(self, ada):
        browser = Client()
        browser.force_login(ada)
        assert browser.post("/demo/sign-out").status_code == 204
        assert browser.get("/api/v1/session").json()["user"] is None
