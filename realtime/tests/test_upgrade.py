"""Plain HTTP at the socket's address: what is missing is said, and logged once."""

import pytest
from django.test import AsyncClient, Client

from realtime.http import upgrade

PATH = "/ws/notifications/"
HANDSHAKE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
STRIPPED = {"Sec-WebSocket-Key": HANDSHAKE["Sec-WebSocket-Key"]}


@pytest.fixture(autouse=True)
def nothing_logged_yet(monkeypatch):
    monkeypatch.setattr(upgrade, "_logged", set())


def lines(caplog):
    return [
        record.getMessage() for record in caplog.records if record.name.startswith(("realtime", "django"))
    ]


@pytest.mark.parametrize("headers", [HANDSHAKE, STRIPPED])
def test_a_handshake_at_a_wsgi_server_is_answered_with_what_is_missing_and_logged_once(caplog, headers):
    for _ in range(3):
        answer = Client().get(PATH, headers=headers)
        assert (answer.status_code, answer.content.decode()) == (426, f"{upgrade.HTTP_ONLY}\n")
        # wsgiref, runserver's, ends a request whose answer has these.
        assert not {"Upgrade", "Connection"} & set(answer.headers)
    assert lines(caplog) == [f"a WebSocket handshake was answered with 426: {upgrade.HTTP_ONLY}"]


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [(HANDSHAKE, upgrade.NO_LIBRARY), (STRIPPED, upgrade.PROXY)],
    ids=["uvicorn", "proxy"],
)
async def test_at_an_asgi_server_it_says_what_stands_in_between(caplog, headers, sentence):
    for _ in range(3):
        answer = await AsyncClient().get(PATH, headers=headers)
        assert (answer.status_code, answer.content.decode()) == (426, f"{sentence}\n")
        assert (answer["Upgrade"], answer["Connection"]) == ("websocket", "Upgrade")
    assert lines(caplog) == [f"a WebSocket handshake was answered with 426: {sentence}"]


@pytest.mark.parametrize("method", ["get", "head", "post", "options"])
async def test_a_visitor_gets_a_sentence_and_no_warning_of_ours(caplog, method):
    answer = await getattr(AsyncClient(enforce_csrf_checks=True), method)(PATH)
    assert answer.status_code == 426
    assert method == "head" or answer.content.decode() == f"{upgrade.VISITED}\n"
    assert not [line for line in lines(caplog) if "handshake" in line]


@pytest.mark.parametrize("method", ["get", "head", "post", "options"])
def test_what_a_person_opens_at_a_wsgi_server_says_what_the_server_lacks(caplog, method):
    assert getattr(Client(enforce_csrf_checks=True), method)(PATH).status_code == 426
    assert Client().get(PATH).content.decode() == f"{upgrade.HTTP_ONLY}\n"
    assert not [line for line in lines(caplog) if "handshake" in line]
