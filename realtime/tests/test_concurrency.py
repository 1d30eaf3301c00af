"""At most so many requests run at once; the others wait, and a client that is only slow holds no place."""

import asyncio

import pytest

from realtime.fair_queue import FairQueue
from realtime.http import concurrency
from realtime.http.concurrency import AsgiConcurrency
from realtime.tests.client import TIMEOUT, eventually

PLACES = 3


class Application:
    """Answers when it may, and goes on sending when it may."""

    def __init__(self):
        self.running, self.most_at_once, self.finished = 0, 0, 0
        self.may_answer, self.may_end = asyncio.Semaphore(0), asyncio.Event()

    async def __call__(self, scope, receive, send):
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.disconnect":
            return
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await self.may_answer.acquire()
            if scope.get("raises"):
                raise RuntimeError
        finally:
            self.running -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.may_end.wait()
        await send({"type": "http.response.body", "body": b"ok"})
        self.finished += 1


class Request:
    def __init__(self, bounded, *, complete=True, **scope):
        self.incoming: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.sent = []
        self.incoming.put_nowait({"type": "http.request", "body": b"", "more_body": not complete})
        self.task = asyncio.create_task(
            bounded({"type": "http", "method": "GET", "headers": [], **scope}, self.incoming.get, self.send)
        )

    async def send(self, message):
        self.sent.append(message)

    def status(self):
        return self.sent[0]["status"] if self.sent else None


@pytest.fixture
async def application(settings):
    settings.REALTIME_MAX_REQUESTS = PLACES
    return Application()


@pytest.fixture
async def ask(application):
    """Makes a request; those that are left are cancelled in the end."""
    bounded, made = AsgiConcurrency(application), []

    def ask(**options):
        made.append(Request(bounded, **options))
        return made[-1]

    yield ask
    for request in made:
        request.task.cancel()
    await asyncio.gather(*(request.task for request in made), return_exceptions=True)


async def test_more_than_there_are_places_wait_their_turn(application, ask):
    application.may_end.set()
    requests = [ask() for _ in range(10)]
    await eventually(lambda: application.running == PLACES)
    application.may_answer.release()
    await eventually(lambda: application.finished == 1 and application.running == PLACES)
    # In order.
    assert requests[0].status() == 200
    for _ in range(9):
        application.may_answer.release()
    async with asyncio.timeout(TIMEOUT):
        await asyncio.gather(*(request.task for request in requests))
    assert application.most_at_once == PLACES


async def test_a_body_that_has_not_come_holds_no_place(application, ask):
    for _ in range(PLACES):
        ask(complete=False)
    ask()
    await eventually(lambda: application.running == 1)


async def test_an_answer_that_is_being_sent_holds_no_place(application, ask):
    for _ in range(PLACES):
        ask()
        application.may_answer.release()
    late = ask()
    await eventually(lambda: application.running == 1)
    application.may_answer.release()
    await eventually(lambda: late.status() == 200)
    assert application.finished == 0


async def test_a_client_that_leaves_while_it_waits_takes_no_place(application, ask):
    for _ in range(PLACES):
        ask()
    await eventually(lambda: application.running == PLACES)
    left, stayed = ask(), ask()
    await asyncio.sleep(0)
    left.incoming.put_nowait({"type": "http.disconnect"})
    await eventually(left.task.done)
    application.may_end.set()
    application.may_answer.release()
    await eventually(lambda: application.running == PLACES and application.finished == 1)
    assert (left.sent, stayed.sent) == ([], [])


async def test_what_waits_too_long_is_answered_with_503(application, ask, monkeypatch):
    monkeypatch.setattr(concurrency, "WAIT_SECONDS", 0.01)
    for _ in range(PLACES):
        ask()
    await eventually(lambda: application.running == PLACES)
    late = ask()
    await eventually(late.task.done)
    assert late.status() == 503
    assert dict(late.sent[0]["headers"])[b"retry-after"] == b"1"
    assert b'"unavailable"' in late.sent[1]["body"]
    # And it keeps no place.
    application.may_answer.release()
    again = ask()
    await eventually(lambda: application.running == PLACES)
    assert not again.sent


async def test_a_request_that_fails_gives_its_place_back(application, ask):
    failing = [ask(raises=True) for _ in range(PLACES)]
    for _ in failing:
        application.may_answer.release()
    await eventually(lambda: all(request.task.done() for request in failing))
    ask()
    await eventually(lambda: application.running == 1)


def by(client):
    return {"headers": [(b"cookie", client)]}


async def test_of_those_that_wait_each_client_has_its_turn(application, ask):
    application.may_end.set()
    flood = [ask(**by(b"flood")) for _ in range(20)]
    await eventually(lambda: application.running == PLACES)
    other = ask(**by(b"other"))
    await asyncio.sleep(0)
    # Two turns, and not the eighteen that were asked for before.
    for _ in range(2 + PLACES):
        application.may_answer.release()
    await eventually(lambda: other.status() == 200)
    assert sum(request.status() == 200 for request in flood) <= 1 + PLACES


async def test_one_client_has_some_of_the_places_only(application, ask, monkeypatch):
    monkeypatch.setattr(concurrency, "REQUESTS_PER_CLIENT", 2)
    for _ in range(5):
        ask(**by(b"flood"))
    await eventually(lambda: application.running == 2)
    for _ in range(5):
        ask(headers=[(b"authorization", b"Bearer other")])
    await eventually(lambda: application.running == PLACES)
    assert application.most_at_once == PLACES


@pytest.mark.parametrize("steps", range(5))
async def test_a_request_cancelled_as_it_gets_a_place_gives_it_back(steps):
    places = FairQueue(1)
    assert places.take("first")
    waiting = asyncio.create_task(
        concurrency._place_or_disconnect(places, "second", "", asyncio.Event().wait)
    )
    await asyncio.sleep(0.05)
    places.give_back("first")
    for _ in range(steps):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    if not waiting.cancelled() and waiting.result():
        places.give_back("second")
    await asyncio.sleep(0)
    assert places.take("third")


async def test_an_address_that_invents_clients_delays_itself(application, ask):
    application.may_end.set()
    flood = [ask(headers=[(b"cookie", b"%d" % number)], client=("192.0.2.1", 1)) for number in range(20)]
    await eventually(lambda: application.running == PLACES)
    other = ask(**by(b"other"), client=("192.0.2.2", 1))
    await asyncio.sleep(0)
    for _ in range(2 + PLACES):
        application.may_answer.release()
    await eventually(lambda: other.status() == 200)
    assert sum(request.status() == 200 for request in flood) <= 1 + PLACES


async def test_beyond_a_full_queue_a_client_is_refused_at_once(application, ask, monkeypatch):
    monkeypatch.setattr(concurrency, "WAITING_PER_CLIENT", 2)
    for _ in range(PLACES + 2):
        ask(**by(b"flood"))
    await eventually(lambda: application.running == PLACES)
    refused, other = ask(**by(b"flood")), ask(**by(b"other"))
    await eventually(lambda: refused.status() == 429)
    assert dict(refused.sent[0]["headers"])[b"retry-after"] == b"1"
    assert b'"rate_limited"' in refused.sent[1]["body"]
    assert other.status() is None


async def test_other_requests_than_reads_leave_reads_their_places(application, ask, monkeypatch):
    monkeypatch.setattr(concurrency, "REQUESTS_PER_CLIENT", 2)
    for _ in range(5):
        ask(method="POST")
    await eventually(lambda: application.running == 2)
    ask(method="GET")
    await eventually(lambda: application.running == PLACES)
