"""Authentication of handshakes in batches: together, each for itself, by addresses in rotation."""

import asyncio
import threading

import pytest
from django.db import OperationalError

from messaging import names
from realtime import auth
from realtime.db_threads import in_thread
from realtime.sockets import admissions
from realtime.sockets.admissions import BATCHES, HANDSHAKES_PER_BATCH, Admissions
from realtime.tests.client import TIMEOUT, eventually, handshake

pytestmark = pytest.mark.django_db(transaction=True)


def of(session, **options):
    return auth.Handshake({"type": "websocket", "headers": handshake(session, **options)})


def usernames(answers):
    return [answer.user.username if isinstance(answer, auth.Login) else answer for answer in answers]


class Gate:
    """Authentication that waits in its thread until it may go on."""

    def __init__(self, monkeypatch, answer=lambda handshakes: [None] * len(handshakes)):
        self.batches: list[list[auth.Handshake]] = []
        self.open = threading.Event()

        def authenticate(handshakes):
            assert self.open.wait(TIMEOUT)
            return answer(handshakes)

        async def noted(function, handshakes):
            # Here, and not in the threads, which may begin in another order.
            self.batches.append(list(handshakes))
            return await in_thread(function, handshakes)

        monkeypatch.setattr(auth, "authenticate", authenticate)
        monkeypatch.setattr(admissions, "in_thread", noted)


async def occupied(admitted, gate):
    """Have every thread busy that there is for handshakes: each is overdue, and the next one starts beside it."""
    for number in range(1, BATCHES + 1):
        yield asyncio.ensure_future(admitted.login(auth.Handshake({}), "first"))
        await eventually(lambda number=number: len(gate.batches) == number)


async def test_sessions_of_many_are_read_in_two_queries(server, ada, grace, linus, django_assert_num_queries):
    sessions = [await server.session(user) for user in (ada, grace, linus)]

    def read():
        with django_assert_num_queries(2):
            return auth.authenticate([of(session) for session in [*sessions, "nobody"]])

    assert usernames(await in_thread(read)) == ["ada", "grace", "linus", None]


async def test_each_is_answered_for_itself(server, ada, grace, monkeypatch):
    mine, hers = await server.session(ada), await server.session(grace)
    ticket = await in_thread(auth.issue_ticket, ada, mine)
    name_of = names.of

    def broken(user):
        if user.pk == grace.pk:
            raise ValueError("the project's names")
        return name_of(user)

    monkeypatch.setattr(names, "of", broken)
    given = [
        of(mine),
        of(hers),
        of(mine, origin=b"http://evil.example"),
        auth.Handshake({"headers": []}, ticket),
        auth.Handshake({"headers": []}, ticket),
        auth.Handshake({"headers": []}),
    ]
    answers = await in_thread(auth.authenticate, given)
    assert usernames([answers[0], *answers[3:]]) == ["ada", "ada", None, None]
    assert isinstance(answers[1], ValueError)
    assert isinstance(answers[2], auth.BadOrigin)


async def test_without_a_database_all_are_told_so_after_one_attempt(server, ada, grace, monkeypatch):
    asked, sessions = [], [await server.session(user) for user in (ada, grace)]

    def away(keys):
        asked.append(keys)
        raise OperationalError("away")

    monkeypatch.setattr(auth, "read_sessions", away)
    answers = await in_thread(auth.authenticate, [of(session) for session in sessions])
    assert [type(answer) for answer in answers] == [OperationalError] * 2
    assert len(asked) == 1


async def test_what_gathers_while_a_batch_runs_is_the_next_one(monkeypatch):
    monkeypatch.setattr(admissions, "OVERDUE_SECONDS", TIMEOUT)
    gate, admitted = Gate(monkeypatch), Admissions()
    tasks = [asyncio.ensure_future(admitted.login(auth.Handshake({}), "first"))]
    await eventually(lambda: gate.batches)
    tasks += [asyncio.ensure_future(admitted.login(auth.Handshake({}), "first")) for _ in range(20)]
    await eventually(lambda: len(admitted._waiting) == 20)
    gate.open.set()
    assert await asyncio.gather(*tasks) == [None] * 21
    assert [len(batch) for batch in gate.batches] == [1, 20]


async def test_a_batch_that_takes_long_holds_up_no_other(monkeypatch):
    slow = threading.Event()
    gate = Gate(monkeypatch, lambda handshakes: [slow.wait(TIMEOUT)] if handshakes[0].ticket else [None])
    gate.open.set()
    admitted = Admissions()
    first = asyncio.ensure_future(admitted.login(auth.Handshake({}, "slow"), "first"))
    await eventually(lambda: gate.batches)
    assert await asyncio.wait_for(admitted.login(auth.Handshake({}), "first"), TIMEOUT / 2) is None
    assert not first.done()
    slow.set()
    assert await first


async def test_what_gathers_while_the_threads_are_busy_is_one_batch(monkeypatch):
    gate, admitted = Gate(monkeypatch), Admissions()
    tasks = [task async for task in occupied(admitted, gate)]
    tasks += [asyncio.ensure_future(admitted.login(auth.Handshake({}), "first")) for _ in range(20)]
    await eventually(lambda: len(admitted._waiting) == 20)
    # A database thread is left to the catch-ups of others.
    assert await asyncio.wait_for(in_thread(lambda: "read"), TIMEOUT) == "read"
    gate.open.set()
    assert await asyncio.gather(*tasks) == [None] * (BATCHES + 20)
    assert [len(batch) for batch in gate.batches] == [1] * BATCHES + [20]


async def test_one_that_was_given_up_uses_no_ticket(monkeypatch):
    gate, admitted = Gate(monkeypatch), Admissions()
    tasks = [task async for task in occupied(admitted, gate)]
    given_up = asyncio.ensure_future(admitted.login(auth.Handshake({}, "a"), "first"))
    kept = asyncio.ensure_future(admitted.login(auth.Handshake({}, "b"), "first"))
    await eventually(lambda: len(admitted._waiting) == 2)
    given_up.cancel()
    await asyncio.wait([given_up])
    gate.open.set()
    await asyncio.gather(kept, *tasks)
    assert [handshake.ticket for handshake in gate.batches[-1]] == ["b"]


async def test_a_flood_from_one_address_delays_another_by_one_batch(monkeypatch):
    gate, admitted = Gate(monkeypatch), Admissions()
    places = BATCHES * HANDSHAKES_PER_BATCH
    flood = [
        asyncio.ensure_future(admitted.login(auth.Handshake({}, "flood"), "a")) for _ in range(3 * places)
    ]
    await eventually(lambda: admitted._places.waiting("a") == 2 * places)
    other = asyncio.ensure_future(admitted.login(auth.Handshake({}, "other"), "b"))
    await eventually(lambda: admitted._places.waiting("b") == 1)
    gate.open.set()
    await asyncio.gather(other, *flood)
    order = [handshake.ticket for batch in gate.batches for handshake in batch]
    assert order.index("other") <= places + HANDSHAKES_PER_BATCH
    assert max(map(len, gate.batches)) <= HANDSHAKES_PER_BATCH


async def test_what_fails_in_the_thread_and_what_takes_too_long_leaves_no_place_taken(monkeypatch):
    gate, admitted = Gate(monkeypatch, lambda handshakes: 1 / 0), Admissions()
    monkeypatch.setattr(admissions, "SECONDS", 0.1)
    with pytest.raises(TimeoutError):
        await admitted.login(auth.Handshake({}), "a")
    gate.open.set()
    await eventually(lambda: not admitted._running)
    monkeypatch.setattr(admissions, "SECONDS", TIMEOUT)
    with pytest.raises(ZeroDivisionError):
        await admitted.login(auth.Handshake({}), "a")
    assert admitted._places._free == BATCHES * HANDSHAKES_PER_BATCH
    assert not admitted._running
