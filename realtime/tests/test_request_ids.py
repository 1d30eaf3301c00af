"""Each HTTP request has an id: returned, in its log lines, and with what it published up to the sockets."""

import logging

import pytest
from django.test import RequestFactory

from messaging.notifications import notify
from realtime import request_id
from realtime.http.request_ids import AsgiRequestId, WsgiRequestId
from realtime.log_records import OneLineFormatter
from realtime.outbound import receivers


async def answer_of(given, answered=()):
    """What the middleware makes of these values of X-Request-ID: the id inside, and the answer's headers."""
    inside, sent = [], []

    async def application(scope, receive, send):
        inside.append(request_id.current())
        await send({"type": "http.response.start", "status": 200, "headers": list(answered)})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), *((b"x-request-id", one) for one in given)]
    scope = {"type": "http", "method": "GET", "headers": headers}
    await AsgiRequestId(application)(scope, None, send)
    assert request_id.current() is None
    return inside[0], [value.decode() for name, value in sent[0]["headers"] if name == b"x-request-id"]


@pytest.mark.parametrize("given", [b"a", b"9f3-A.b_c", b"x" * 64])
async def test_a_sane_id_is_taken_and_returned(given):
    assert await answer_of([given]) == (given.decode(), [given.decode()])


@pytest.mark.parametrize(
    "given", [b"", b"x" * 65, b"a b", b"a\nb", b"a\n", b"\xff", b"a=b", b'"', "٣".encode()]
)
async def test_any_other_id_is_made_anew(given):
    inside, returned = await answer_of([given])
    assert returned == [inside]
    assert inside != given.decode("latin-1")
    assert request_id.SANE.fullmatch(inside)


async def test_two_requests_without_an_id_have_two():
    assert await answer_of([]) != await answer_of([])


async def test_what_a_projects_own_middleware_answers_is_left():
    assert (await answer_of([b"ours"], [(b"x-request-id", b"theirs")]))[1] == ["theirs"]


@pytest.mark.parametrize(("given", "kept"), [("proxy-17", True), ("a b", False)])
def test_wsgi_does_the_same(given, kept):
    inside, headers = [], {}

    def application(environ, start_response):
        inside.append(request_id.current())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    environ = RequestFactory().get("/", headers={"X-Request-ID": given}).environ
    WsgiRequestId(application)(environ, lambda status, given_headers: headers.update(given_headers))
    assert headers["X-Request-ID"] == inside[0]
    assert (inside[0] == given) is kept


def test_a_line_of_the_request_ends_with_its_id():
    record = logging.LogRecord("messaging", logging.INFO, "x.py", 1, "saved", (), None)
    formatter = OneLineFormatter("{message}", style="{")
    with request_id.bound("abc"):
        assert formatter.format(record) == "saved request=abc"
    assert formatter.format(record) == "saved"
    with request_id.bound("a\nb"):
        assert formatter.format(record) == "saved"


@pytest.mark.parametrize("numbered", [True, False])
def test_it_is_carried_with_what_was_published(published, ada, request, numbered):
    """Also where the relay's thread assigns the revision, and for what no request published not at all."""
    if not numbered:
        request.getfixturevalue("unnumbered")
    with request_id.bound("abc"):
        notify(ada, "announcement", "Hello")
    assert receivers.flush(20)
    notify(ada, "announcement", "Again")
    assert receivers.flush(20)
    assert [message.get("request") for _, message in published.messages] == ["abc", None]


def test_without_debug_no_line_is_made(published, ada, caplog, monkeypatch):
    """Nothing is built for it on the path of a push."""
    monkeypatch.setattr(receivers, "_log_assigned", None)
    caplog.set_level(logging.INFO)
    notify(ada, "announcement", "Hello")
    assert receivers.flush(20)
    assert caplog.text == ""
