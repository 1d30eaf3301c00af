import functools
import threading
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as project_settings
from django.contrib.auth import aauthenticate
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connections
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from conftest import PASSWORD
from messaging import tokens
from realtime import auth
from realtime.auth import BadOrigin, check_origin, issue_ticket, use_ticket, valid_logins
from realtime.db_threads import in_thread
from realtime.models import Ticket
from realtime.tests.client import TIMEOUT, handshake, sign_in

OURS = "http://testserver"
NUL = rb'sessionid="\000abcdefgh"'


def scope_of(*origins, host="testserver", **scope):
    headers = [(b"host", host.encode())] if host is not None else []
    headers += [(b"origin", origin.encode("latin-1")) for origin in origins]
    return {"headers": headers, **scope}


# --- Origin ----------------------------------------------------------------------------------------------------

BAD_ORIGINS = {
    "none": [],
    "null": ["null"],
    "empty": [""],
    "two of ours": [OURS, OURS],
    "ours and another": [OURS, "http://evil.example"],
    "another site": ["http://evil.example"],
    "another port": ["http://testserver:8000"],
    "another scheme": ["https://testserver"],
    "a subdomain": ["http://sub.testserver"],
    "ours as a subdomain": ["http://testserver.evil.example"],
    "ours as a prefix": ["http://testserver-evil"],
    "ours as a suffix": ["http://eviltestserver"],
    "user and host": ["http://testserver@evil.example"],
    "user and password": ["http://ada:secret@testserver"],
    "a path": ["http://testserver/"],
    "a path behind another": ["http://evil.example/testserver"],
    "a query": ["http://testserver?x"],
    "a fragment": ["http://testserver#x"],
    "no scheme": ["testserver"],
    "a scheme of another kind": ["file://testserver"],
    "a port that is none": ["http://testserver:x"],
    "a port out of range": ["http://testserver:99999"],
    "a port without digits": ["http://testserver:"],
    "an open bracket": ["http://[::1"],
    "a closed bracket": ["http://::1]"],
    "a space": ["http://test server"],
    "a trailing space": ["http://testserver "],
    "two in one": ["http://testserver http://testserver"],
    "a comma": ["http://testserver, http://evil.example"],
    "a NUL": ["http://testserver\x00"],
    "a line break": ["http://testserver\n"],
    "not ASCII": ["http://t\xe9stserver"],
    "a trailing dot": ["http://testserver."],
    "very long": ["http://" + "a" * 5000],
}


@pytest.mark.parametrize("origins", BAD_ORIGINS.values(), ids=BAD_ORIGINS)
def test_an_origin_that_is_not_allowed_is_bad(origins):
    with pytest.raises(BadOrigin):
        check_origin(scope_of(*origins))


async def test_a_handshake_from_another_origin_is_refused_before_the_accept(server, ada):
    key = await server.session(ada)
    for origins in BAD_ORIGINS.values():
        headers = [header for header in handshake(key) if header[0] != b"origin"]
        headers += [(b"origin", origin.encode("latin-1")) for origin in origins]
        socket = server.socket(headers=headers)
        # A close before the accept is what every server answers with 403.
        assert await socket.communicator.connect(timeout=TIMEOUT) == (False, 1000), origins
        await socket.disconnect()
    # Without a login the close code says so, whatever the Origin.
    socket = server.socket(headers=[(b"host", b"testserver"), (b"origin", b"null")])
    await socket.open()
    assert await socket.close_code() == 4500


@pytest.mark.parametrize(
    ("origin", "scope"),
    [
        ("http://testserver", scope_of()),
        ("HTTP://TESTSERVER", scope_of()),
        ("http://testserver:80", scope_of()),
        ("http://testserver", scope_of(host="TestServer:80")),
        ("http://testserver:8000", scope_of(host="testserver:8000")),
        ("https://testserver", scope_of(scheme="wss")),
        ("https://testserver:443", scope_of(scheme="wss")),
        ("http://127.0.0.1:8000", scope_of(host="127.0.0.1:8000")),
        ("http://[::1]:8000", scope_of(host="[::1]:8000")),
    ],
)
def test_the_servers_own_origin_may_connect(settings, origin, scope):
    settings.ALLOWED_HOSTS = ["testserver", "127.0.0.1", "[::1]"]
    scope["headers"].append((b"origin", origin.encode()))
    check_origin(scope)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", "http://evil.example"),
        ("testserver:x", "http://testserver:x"),
        ("testserver@evil.example", "http://testserver@evil.example"),
        ("", "http://"),
        (None, "http://testserver"),
        ("[::1", "http://[::1"),
    ],
)
def test_a_host_that_is_not_allowed_allows_no_origin(host, origin):
    with pytest.raises(BadOrigin):
        check_origin(scope_of(origin, host=host))


def test_two_host_headers_are_refused():
    scope = scope_of(OURS)
    scope["headers"].append((b"host", b"testserver"))
    with pytest.raises(BadOrigin):
        check_origin(scope)


def test_other_origins_may_be_allowed(settings):
    settings.REALTIME_ORIGINS = ["https://app.example", "http://localhost:5173", "nonsense"]
    for origin in ("https://app.example", "https://app.example:443", "http://localhost:5173"):
        check_origin(scope_of(origin))
    for origin in ("http://app.example", "https://sub.app.example", "http://localhost", "nonsense"):
        with pytest.raises(BadOrigin):
            check_origin(scope_of(origin))


def test_behind_a_trusted_proxy_the_scheme_is_the_proxys(settings):
    scope = scope_of("https://testserver")
    scope["headers"].append((b"x-forwarded-proto", b"https"))
    with pytest.raises(BadOrigin):
        check_origin(scope)
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    check_origin(scope)


@pytest.mark.parametrize(
    ("name", "secure", "given", "scheme"),
    [
        ("HTTP_X_FORWARDED_PROTO", "https", b"https,http", "https"),
        ("HTTP_X_FORWARDED_PROTO", "https", b"http", "http"),
        ("HTTP_X_FORWARDED_SSL", "on", b"on", "https"),
        ("HTTP_X_FORWARDED_SSL", "on", b"https", "http"),
    ],
)
def test_the_proxys_header_is_read_as_django_reads_it(settings, rf, name, secure, given, scheme):
    settings.SECURE_PROXY_SSL_HEADER = (name, secure)
    assert rf.get("/", **{name: given.decode()}).scheme == scheme
    header = name.removeprefix("HTTP_").replace("_", "-").lower().encode()
    for origin in ("https", "http"):
        scope = scope_of(f"{origin}://testserver")
        scope["headers"].append((header, given))
        # Whatever the server itself was reached by.
        scope["scheme"] = "wss"
        if origin == scheme:
            check_origin(scope)
        else:
            with pytest.raises(BadOrigin, match=f"{origin}://testserver"):
                check_origin(scope)


@pytest.mark.parametrize("key", ["token:{}", "token:x", "token:", "token:99999999999999999999"])
async def test_a_cookie_cannot_name_an_api_token(server, ada, key):
    token, _ = await in_thread(functools.partial(tokens.make, "A program", user=ada))
    socket = server.socket(headers=handshake(key.format(token.pk)))
    await socket.open()
    assert await socket.close_code() == 4500


async def test_a_bad_cookie_is_no_login_and_no_error(server, ada):
    for cookie in (b"", b"sessionid", b"sessionid=", b"=;=;;", b"sessionid=\xff\xfe", b"a" * 9000, NUL):
        headers = [(b"host", b"testserver"), (b"origin", OURS.encode()), (b"cookie", cookie)]
        socket = server.socket(headers=headers)
        await socket.open()
        assert await socket.close_code() == 4500


@pytest.mark.parametrize("other", ['prefs={"theme": "dark"}', "a b=c d", "naive=caf\xe9", "x", "[]=1"])
async def test_other_cookies_of_any_form_are_ignored(server, ada, other):
    key = await server.session(ada)
    for cookie in (f"{other}; sessionid={key}", f"sessionid={key}; {other}"):
        headers = [*handshake(key)[:2], (b"cookie", cookie.encode("latin-1"))]
        socket = server.socket(headers=headers)
        await socket.open()
        assert (await socket.next())["type"] == "hello"


# --- Tickets -----------------------------------------------------------------------------------------------------


async def with_ticket(server, *tickets, headers=()):
    offered = ["notifications.v1", *(f"ticket.{ticket}" for ticket in tickets)]
    socket = server.socket(headers=list(headers), subprotocols=offered)
    assert await socket.open() == "notifications.v1"
    return socket


async def test_a_ticket_from_http_opens_a_socket_without_cookie_and_origin(server, ada):
    def ask():
        client = Client()
        client.force_login(ada)
        return client.post("/api/v1/ticket").json()

    answer = await in_thread(ask)
    assert answer["expires_in"] == 30
    assert set(answer["ticket"]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    socket = await with_ticket(server, answer["ticket"])
    assert (await socket.next())["user"]["username"] == "ada"


async def test_an_api_token_gets_a_ticket_and_revoking_it_closes_the_socket(server, ada):
    def ask():
        token, secret = tokens.make("A program", user=ada)
        answer = Client().post("/api/v1/ticket", headers={"Authorization": f"Bearer {secret}"})
        return token, answer.json()["ticket"]

    token, ticket = await in_thread(ask)
    socket = await with_ticket(server, ticket)
    await socket.until("synced")
    await server.hub.sweeps.recheck_all()
    assert await socket.received_so_far() == []
    await in_thread(tokens.revoke, token)
    assert await socket.close_code() == 4503


async def test_a_ticket_is_valid_once(server, ada):
    ticket = await in_thread(issue_ticket, ada, await server.session(ada))
    first = await with_ticket(server, ticket)
    assert (await first.next())["type"] == "hello"
    second = await with_ticket(server, ticket)
    assert await second.close_code() == 4500


def test_of_two_handshakes_with_one_ticket_at_once_one_is_accepted(ada, threads, monkeypatch):
    ticket = issue_ticket(ada, sign_in(ada))
    first, both_found_it, logins = QuerySet.first, threading.Barrier(2), []

    def found(queryset):
        row = first(queryset)
        both_found_it.wait(TIMEOUT)
        return row

    with monkeypatch.context() as at_once:
        at_once.setattr(QuerySet, "first", found)
        threads.together(*[lambda: logins.append(use_ticket(ticket))] * 2)
    assert sorted(login is None for login in logins) == [False, True]


async def test_an_expired_ticket_is_not_accepted(server, ada):
    ticket = await in_thread(issue_ticket, ada, await server.session(ada))
    await in_thread(lambda: Ticket.objects.update(expires_at=Now() - timedelta(seconds=1)))
    assert await (await with_ticket(server, ticket)).close_code() == 4500


@pytest.mark.parametrize("ticket", ["", "x", "a" * 5000, "\udcff"])
async def test_a_wrong_ticket_is_not_accepted_even_with_a_valid_cookie(server, ada, ticket):
    headers = handshake(await server.session(ada))
    assert await (await with_ticket(server, ticket, headers=headers)).close_code() == 4500


async def test_with_a_ticket_a_bad_origin_and_another_users_cookie_are_ignored(server, ada, grace):
    headers = handshake(await server.session(grace), origin=b"http://evil.example")
    ticket = await in_thread(issue_ticket, ada, await server.session(ada))
    socket = await with_ticket(server, ticket, headers=headers)
    assert (await socket.next())["user"]["username"] == "ada"


async def test_a_ticket_ends_with_the_login_that_requested_it(server, ada):
    key = await server.session(ada)
    ticket = await in_thread(issue_ticket, ada, key)
    await in_thread(Session.objects.filter(session_key=key).delete)
    assert await (await with_ticket(server, ticket)).close_code() == 4500


def test_only_a_tickets_hash_is_stored_and_expired_ones_are_deleted(ada):
    ticket = issue_ticket(ada, "session")
    row = Ticket.objects.get()
    assert ticket not in (row.hash, row.session_key)
    Ticket.objects.update(expires_at=Now() - timedelta(seconds=1))
    issue_ticket(ada, "session")
    assert Ticket.objects.count() == 1


# --- Logins ------------------------------------------------------------------------------------------------------


def signed_out(client, user):
    client.logout()


def expired(client, user):
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))


def deactivated(client, user):
    User.objects.filter(pk=user.pk).update(is_active=False)


def with_a_new_password(client, user):
    user.set_password("another")
    user.save()


def deleted(client, user):
    user.delete()


def by_a_backend_that_is_gone(client, user):
    session = client.session
    session["_auth_user_backend"] = "gone.Backend"
    session.save()


ENDS = [signed_out, expired, deactivated, with_a_new_password, deleted, by_a_backend_that_is_gone]


@pytest.mark.parametrize("end", ENDS)
def test_a_login_that_has_ended_is_not_valid(ada, grace, end):
    client = Client()
    client.force_login(ada)
    key, other = str(client.session.session_key), sign_in(grace)
    assert {k: user.username for k, user in valid_logins([key, other]).items()} == {
        key: "ada",
        other: "grace",
    }
    end(client, ada)
    assert key not in valid_logins([key, other])
    if end != expired:
        assert other in valid_logins([key, other])


def test_an_anonymous_session_is_no_login(db, client):
    session = client.session
    session["seen"] = True
    session.save()
    assert valid_logins([session.session_key]) == {}


def test_the_logins_of_many_are_looked_up_in_two_queries(ada, grace, linus, django_assert_num_queries):
    keys = [sign_in(user) for user in (ada, grace, linus)]
    with django_assert_num_queries(2):
        assert len(valid_logins(keys)) == 3


def test_a_login_signed_with_a_fallback_key_is_valid_and_stays_unchanged(ada, settings):
    key = sign_in(ada)
    before = Session.objects.get(session_key=key)
    settings.SECRET_KEY_FALLBACKS = [project_settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one"
    assert valid_logins([key])[key].username == "ada"
    after = Session.objects.get(session_key=key)
    assert (after.session_data, after.expire_date) == (before.session_data, before.expire_date)


async def test_a_login_signed_with_a_fallback_key_survives_a_socket(server, ada, settings):
    key = await server.session(ada)
    settings.SECRET_KEY_FALLBACKS = [project_settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one"
    socket = await server.connect(ada)
    await server.hub.sweeps.recheck_all()
    assert await socket.received_so_far() == []
    assert await in_thread(Session.objects.filter(session_key=key).exists)


def test_sessions_outside_the_database_are_looked_up_too(ada, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
    key = sign_in(ada)
    assert valid_logins([key])[key].username == "ada"
    assert valid_logins(["nobody"]) == {}


def test_the_content_type_of_a_handshake_is_not_parsed(monkeypatch):
    parsed = []

    def parse(value):
        parsed.append(value)
        return "", {}

    monkeypatch.setattr("django.http.request.parse_header_parameters", parse)
    scope = scope_of("http://evil.example")
    scope["headers"] += [(b"content-type", b";" * 8_000)] * 7
    with pytest.raises(BadOrigin):
        check_origin(scope)
    assert parsed == [""]


@pytest.mark.parametrize("key", ["../../etc/passwd", "sessionid\n", "\xe9" * 40, "k" * 5_000])
def test_a_cookie_that_is_no_key_of_the_session_store_is_no_login(ada, settings, tmp_path, key):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.file"
    settings.SESSION_FILE_PATH = str(tmp_path)
    assert valid_logins([key]) == {}


def test_the_hash_of_a_login_does_not_show_its_key(ada):
    login = auth.Login(valid_logins([key := sign_in(ada)])[key], key)
    assert key not in login.hash
    assert len(login.hash) == 64


async def test_asynchronous_sign_ins_are_under_the_throttle_too(transactional_db, ada):
    try:
        for _ in range(5):
            assert await aauthenticate(username="ada", password="wrong") is None
        assert await aauthenticate(username="ada", password=PASSWORD) is None
    finally:
        await sync_to_async(connections.close_all)()
