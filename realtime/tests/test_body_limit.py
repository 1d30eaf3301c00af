import asyncio
import json

import pytest

from realtime.http import body_limit
from realtime.http.body_limit import AsgiBodyLimit, WsgiBodyLimit


@pytest.fixture(autouse=True)
def limit(settings):
    settings.REALTIME_MAX_BODY_BYTES = 1000


class Application:
    """Reads the whole body, as Django's ASGI handler does, and answers with its length."""

    def __init__(self):
        self.read = 0
        self.is_called = False

    async def __call__(self, scope, receive, send):
        self.is_called = True
        while True:
            message = await receive()
            self.read += len(message.get("body", b""))
            if not message.get("more_body", False):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(self.read).encode()})


async def ask(application, chunks, length=None, types=()):
    """Send a body in chunks. Returns the status, the answer and how many chunks were read."""
    waiting, sent = list(chunks), []

    async def receive():
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    headers += [(b"content-type", one) for one in types]
    await AsgiBodyLimit(application)({"type": "http", "headers": headers}, receive, send)
    answer = b"".join(message.get("body", b"") for message in sent)
    assert not sent[-1].get("more_body", False)
    return sent[0]["status"], answer, len(chunks) - len(waiting)


async def test_a_body_up_to_the_limit_passes():
    application = Application()
    assert await ask(application, [b"x" * 600, b"x" * 400], 1000) == (200, b"1000", 2)


async def test_an_announced_length_over_the_limit_is_refused_before_the_application_is_asked():
    application = Application()
    status, answer, _ = await ask(application, [b"x" * 1001], 1001)
    assert (status, json.loads(answer)["code"], application.is_called) == (413, "too_large", False)


async def test_a_chunked_body_is_refused_when_it_reaches_the_limit():
    application = Application()
    status, answer, _ = await ask(application, [b"x" * 400] * 10)
    assert (status, json.loads(answer)["code"]) == (413, "too_large")
    assert application.read == 800


async def test_what_a_refused_client_goes_on_sending_is_read_only_so_far(monkeypatch):
    monkeypatch.setattr("realtime.http.body_limit.LINGER_BYTES", 5000)
    status, _, read = await ask(Application(), [b"x" * 1000] * 100, 100_000)
    assert (status, read) == (413, 5)


@pytest.mark.parametrize(
    ("types", "status"),
    [
        ([b"application/json"], 200),
        ([b"multipart/form-data; boundary=" + b"x" * 70], 200),
        ([b"a/b" + b";" * 60_000], 431),
        ([b"a/b" + b";" * 600] * 2, 431),
    ],
)
async def test_a_content_type_is_bounded_before_it_is_parsed(types, status):
    application = Application()
    assert (await ask(application, [b"x"], 1, types))[0] == status
    assert application.is_called == (status == 200)


class Uploads:
    """Requests in progress. Each has sent a part of its body, and sends the rest by `end()`."""

    def __init__(self):
        self.application = AsgiBodyLimit(self._read)
        self.in_memory = self.most_in_memory = 0
        self.statuses = []
        self.answer = asyncio.Event()
        self._ends = asyncio.Event()
        self._tasks = []

    async def _read(self, scope, receive, send):
        has_large = False
        while True:
            message = await receive()
            if len(message["body"]) > 500 and not has_large:
                has_large = True
                self.in_memory += 1
                self.most_in_memory = max(self.most_in_memory, self.in_memory)
            if not message["more_body"]:
                break
        await self.answer.wait()
        self.in_memory -= has_large
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def start(self, count, address, size):
        for _ in range(count):
            self._tasks.append(asyncio.create_task(self._upload(address, size)))
        for _ in range(5):
            await asyncio.sleep(0)

    async def _upload(self, address, size):
        parts = [b"x" * size, b""]

        async def receive():
            if len(parts) == 1:
                await self._ends.wait()
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message):
            if message["type"] == "http.response.start":
                self.statuses.append(message["status"])

        await self.application({"type": "http", "headers": [], "client": (address, 1)}, receive, send)

    async def end(self):
        self._ends.set()
        self.answer.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*self._tasks)


@pytest.fixture
async def uploads(settings, monkeypatch):
    settings.REALTIME_MAX_BODY_BYTES = 10_000
    monkeypatch.setattr(body_limit, "LARGE_BYTES", 500)
    return Uploads()


async def test_few_large_bodies_of_an_address_are_in_memory_at_once(uploads):
    await uploads.start(50, "192.0.2.1", 1000)
    await uploads.start(50, "192.0.2.2", 1000)
    assert uploads.in_memory == 2 * body_limit.LARGE_BODIES_PER_ADDRESS
    await uploads.end()
    assert uploads.statuses == [200] * 100
    assert uploads.most_in_memory == 2 * body_limit.LARGE_BODIES_PER_ADDRESS


async def test_few_large_bodies_are_in_memory_at_once(uploads):
    for number in range(20):
        await uploads.start(10, f"192.0.2.{number}", 1000)
    assert uploads.in_memory == body_limit.LARGE_BODIES
    await uploads.end()
    assert uploads.statuses == [200] * 200


async def test_a_small_body_doesnt_wait_for_large_ones(uploads):
    await uploads.start(50, "192.0.2.1", 1000)
    uploads.answer.set()
    application, statuses = uploads.application, []

    async def receive():
        return {"type": "http.request", "body": b"x" * 500, "more_body": False}

    async def send(message):
        statuses.append(message.get("status"))

    await application({"type": "http", "headers": [], "client": ("192.0.2.1", 1)}, receive, send)
    assert statuses[0] == 200
    await uploads.end()


async def test_more_large_bodies_of_an_address_than_may_wait_are_refused(uploads, monkeypatch):
    monkeypatch.setattr(body_limit, "LARGE_BODIES_WAITING", 10)
    await uploads.start(20, "192.0.2.1", 1000)
    await uploads.start(5, "192.0.2.2", 1000)
    await uploads.end()
    assert sorted(uploads.statuses) == [200] * (14 + 5) + [429] * 6


async def test_a_large_body_that_has_waited_too_long_is_refused(uploads, monkeypatch):
    monkeypatch.setattr(body_limit, "WAIT_SECONDS", 0.01)
    await uploads.start(6, "192.0.2.1", 1000)
    await asyncio.sleep(0.1)
    await uploads.end()
    assert sorted(uploads.statuses) == [200] * 4 + [503] * 2


@pytest.mark.parametrize("length", ["", "nonsense", "-5"])
async def test_a_length_that_is_none_is_the_servers_business(length):
    assert (await ask(Application(), [b"x"], length))[0] == 200


@pytest.mark.parametrize(("length", "status"), [("", 200), ("1000", 200), ("1001", 413)])
def test_under_wsgi_an_announced_length_is_refused_too(length, status):
    started = []

    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"read"]

    answer = WsgiBodyLimit(application)(
        {"CONTENT_LENGTH": length}, lambda line, headers: started.append(line)
    )
    assert started[0].startswith(str(status))
    assert (
        b"".join(answer) == b"read" if status == 200 else json.loads(b"".join(answer))["code"] == "too_large"
    )
