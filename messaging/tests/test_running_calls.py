"""The API: how many calls of one user run at once."""

import threading

from django.test import Client

from messaging import profiles, tokens
from messaging.api import throttles


def test_few_calls_of_a_user_run_at_once_and_a_whole_burst_is_answered(threads, ada, grace, monkeypatch):
    """The rate says how often; this, how many hold a thread's connection and the processor at the same moment."""
    running: dict[int, int] = {}
    most: dict[int, int] = {}
    lock, plain = threading.Lock(), profiles.settings_of

    def slow(user):
        with lock:
            running[user.pk] = running.get(user.pk, 0) + 1
            most[user.pk] = max(most.get(user.pk, 0), running[user.pk])
        threading.Event().wait(0.05)
        with lock:
            running[user.pk] -= 1
        return plain(user)

    monkeypatch.setattr(profiles, "settings_of", slow)
    answers = []
    _, secret = tokens.make("a program", user=ada)
    _, others = tokens.make("a program", user=grace)

    def call(secret):
        answer = Client().get("/api/v1/profile", headers={"Authorization": f"Bearer {secret}"})
        answers.append(answer.status_code)

    threads.together(*[lambda: call(secret)] * 24, lambda: call(others))
    assert answers == [200] * 25
    assert most[ada.pk] == throttles.CALLS_AT_ONCE
    assert most[grace.pk] == 1
