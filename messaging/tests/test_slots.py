"""Slots: how many threads run at once for a key, what waits, and what is refused."""

import threading

import pytest
from django.db import connection

from messaging.exceptions import TooOften
from messaging.slots import Slots


def run_together(count, function):
    """Run this in threads that begin at the same moment; returns what each returned or raised."""
    barrier, results = threading.Barrier(count), []

    def run():
        barrier.wait(10)
        try:
            results.append(function())
        except TooOften as refusal:
            results.append(refusal)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_no_more_run_at_once_than_the_limit_and_all_who_may_wait_are_served():
    slots, lock, running, most = Slots(40, 30), threading.Lock(), 0, 0

    def hold():
        nonlocal running, most
        with slots.held(2) as waited:
            with lock:
                running += 1
                most = max(most, running)
            threading.Event().wait(0.01)
            with lock:
                running -= 1
            return waited

    assert sorted(run_together(20, hold)) == [False] * 2 + [True] * 18
    assert most == 2
    assert not slots._lines


def test_beyond_the_queue_all_are_refused_at_once_and_each_key_has_its_own():
    slots, may_end = Slots(3, 30), threading.Event()

    def hold(key):
        with slots.held(1, key):
            may_end.wait(30)

    threads = [threading.Thread(target=hold, args=("ada",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(getattr(slots._lines.get("ada"), "waiting", ())) < 3:
        threading.Event().wait(0.01)
    with pytest.raises(TooOften) as refused, slots.held(1, "ada"):
        pass
    with pytest.raises(TooOften):
        slots.refuse_if_full("ada")
    slots.refuse_if_full("grace")
    assert refused.value.retry_after == 1
    with slots.held(1, "grace") as waited:
        assert not waited
    may_end.set()
    for thread in threads:
        thread.join(30)
    assert not slots._lines


def test_who_has_waited_too_long_is_refused_and_leaves_the_queue():
    slots = Slots(3, 0.01)
    with slots.held(1):
        with pytest.raises(TooOften), slots.held(1):
            pass
        assert not slots._lines[None].waiting
    with slots.held(1) as waited:
        assert not waited


def test_what_fails_gives_its_slot_back():
    slots = Slots(0, 1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), slots.held(1):
            raise ZeroDivisionError
    with slots.held(1):
        pass


def test_who_waits_holds_no_connection_to_the_database(threads):
    slots, held, may_end, closed = Slots(1, 30), threading.Event(), threading.Event(), []

    def hold():
        with slots.held(1):
            held.set()
            may_end.wait(30)

    def wait():
        connection.ensure_connection()
        plain = connection.close
        connection.close = lambda: (closed.append(True), plain())[-1]  # type: ignore[method-assign]
        with slots.held(1):
            pass

    threads.start(hold)
    held.wait(30)
    threads.start(wait)
    while not closed:
        threading.Event().wait(0.01)
    may_end.set()
    threads.join()
