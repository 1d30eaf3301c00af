"""An answer that its client doesn't read is waited for with a limit, then the connection is reset."""

import asyncio
import socket

import pytest

from realtime.server import unread_answers
from realtime.server.unread_answers import (
    CHECK_SECONDS,
    IDLE_SECONDS,
    TOTAL_SECONDS,
    UnreadAnswer,
)
from realtime.tests.client import eventually


class Answer:
    size = 8 * 1024 * 1024

    async def __call__(self, scope, receive, send):
        headers = [(b"content-length", str(self.size).encode())]
        if scope["path"] == "/close":
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        part = 64 * 1024
        for sent in range(0, self.size, part):
            await send(
                {"type": "http.response.body", "body": bytes(part), "more_body": sent + part < self.size}
            )


@pytest.fixture
async def application():
    return Answer()


@pytest.fixture
async def client(port):
    """A client with little room for what it hasn't read."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
    yield made
    made.close()


async def ask(client, protocols, path="/"):
    """Ask for the answer, and wait until the server can send no more of it."""
    client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await eventually(lambda: protocols and protocols[0].transport.get_write_buffer_size() > 64 * 1024)
    return protocols[0]


async def checked(pass_by, times):
    """Let the checks come that are due in this time."""
    for _ in range(times):
        pass_by(CHECK_SECONDS)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("path", ["/", "/close"])
async def test_who_takes_nothing_is_reset_in_time(client, protocols, pass_by, path):
    made = await ask(client, protocols, path)
    # (Counted from the first check.)
    await checked(pass_by, int(IDLE_SECONDS / CHECK_SECONDS) - 1)
    assert made.connections
    await checked(pass_by, 3)
    await eventually(lambda: not (made.connections or made.tasks))
    assert not unread_answers._watched
    with pytest.raises(ConnectionResetError):
        while await asyncio.get_running_loop().sock_recv(client, 1024 * 1024):
            pass


async def test_who_takes_little_is_waited_for_longer(client, protocols, pass_by):
    made = await ask(client, protocols)
    for _ in range(int(2 * IDLE_SECONDS / CHECK_SECONDS)):
        assert await asyncio.get_running_loop().sock_recv(client, 1024)
        await asyncio.sleep(0.01)
        await checked(pass_by, 1)
    assert made.connections
    # But not for ever.
    with pytest.raises(ConnectionResetError):
        for _ in range(int(TOTAL_SECONDS / CHECK_SECONDS)):
            assert await asyncio.get_running_loop().sock_recv(client, 1024)
            await checked(pass_by, 1)
    await eventually(lambda: not (made.connections or made.tasks))


async def test_who_takes_it_all_is_not_watched_any_more(client, protocols, application):
    application.size = 4 * 1024 * 1024
    made, received = await ask(client, protocols), 0
    assert unread_answers._watched
    while received < application.size:
        received += len(await asyncio.get_running_loop().sock_recv(client, 1024 * 1024))
    await eventually(lambda: made.transport.get_write_buffer_size() == 0)
    assert not unread_answers._watched
    # The connection serves the next request.
    await ask(client, protocols)


class Numbered(int):
    """Stands for a transport."""

    unsent = 1

    def get_write_buffer_size(self):
        return self.unsent


async def test_of_too_many_the_one_that_waits_longest_is_reset(monkeypatch, settings):
    settings.REALTIME_MAX_UNREAD_ANSWERS = most = 5
    reset: list[object] = []
    monkeypatch.setattr(unread_answers, "reset", reset.append)
    loop = asyncio.get_running_loop()
    answers = [UnreadAnswer(loop, Numbered(number)) for number in range(most + 2)]  # type: ignore[arg-type]
    for answer in answers[:most]:
        answer.watch()
    # One that has taken something is the last to go.
    answers[0].forget()
    answers[0].watch()
    assert not reset
    for answer in answers[most:]:
        answer.watch()
    assert reset == [1, 2]
    for answer in answers:
        answer.forget()
    assert not unread_answers._watched


async def test_an_answer_that_has_left_is_not_watched_however_many_end_at_once(monkeypatch, settings):
    settings.REALTIME_MAX_UNREAD_ANSWERS = 5
    monkeypatch.setattr(Numbered, "unsent", 0)
    for number in range(10):
        # It would be reset, and has no socket.
        UnreadAnswer(asyncio.get_running_loop(), Numbered(number)).watch()  # type: ignore[arg-type]
    assert not unread_answers._watched
