"""Writes to the tutorial's project: stored ones, each pushed by its `post_save`, and pushes that are stored nowhere."""

import asyncio
import functools
import itertools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from benchmarks.programs.work import Work

PAIRS = 100


def notify(users: list[int]) -> Work:
    from benchmarks.peers.tutorial_app.models import Notification

    turns = itertools.cycle(users)

    def run(texts: Sequence[str]) -> None:
        for text in texts:
            Notification._default_manager.create(user_id=next(turns), title="Benchmark", description=text)

    return Work(run)


def notify_in_transaction(users: list[int]) -> Work:
    """Pushed after commit, as Django's documentation says."""
    from django.db import transaction
    from django.db.models.signals import post_save

    from benchmarks.peers.tutorial_app import receivers
    from benchmarks.peers.tutorial_app.models import Notification

    turns = itertools.cycle(users)

    def run(texts: Sequence[str]) -> None:
        post_save.disconnect(receivers.push, sender=Notification)
        for text in texts:
            with transaction.atomic():
                made = Notification._default_manager.create(
                    user_id=next(turns), title="Benchmark", description=text
                )
                transaction.on_commit(functools.partial(receivers.push, Notification, made, created=True))
        post_save.connect(receivers.push, sender=Notification)

    return Work(run)


def save(users: list[int]) -> Work:
    from django.contrib.auth.models import User

    from benchmarks.peers.tutorial_app.models import Message

    ids = users[:PAIRS]
    people = User.objects.in_bulk(ids)
    pairs = [(people[one], people[other]) for one, other in zip(ids, [*ids[1:], ids[0]], strict=True)]
    turns = itertools.cycle(pairs)

    def run(texts: Sequence[str]) -> None:
        for text in texts:
            sender, receiver = next(turns)
            Message._default_manager.create(sender=sender, receiver=receiver, content=text)

    return Work(run)


def notify_all(users: list[int]) -> Work:
    from benchmarks.peers.tutorial_app.models import Notification

    def run(texts: Sequence[str]) -> None:
        for text in texts:
            for user in users:
                Notification._default_manager.create(user_id=user, title="Benchmark", description=text)

    return Work(run, warms_up=False)


def push(users: list[int]) -> Work:
    """To one user's group after the other, twenty under way at once."""
    group_send, turns = _group_send(), itertools.cycle(users)
    return Work(lambda texts: group_send([(f"user_{next(turns)}", text) for text in texts]), at_once=20)


def push_all(users: list[int]) -> Work:
    """To the group of all."""
    group_send = _group_send()
    return Work(lambda texts: group_send([("all", text) for text in texts]))


def _group_send() -> Callable[[list[tuple[str, str]]], None]:
    from channels.layers import get_channel_layer

    from benchmarks.peers.tutorial_app.receivers import event_of

    layer: Any = get_channel_layer()
    loop = asyncio.new_event_loop()

    async def together(sends: list[Coroutine[Any, Any, None]]) -> None:
        await asyncio.gather(*sends)

    def send(pushes: list[tuple[str, str]]) -> None:
        events = [layer.group_send(group, event_of(text)) for group, text in pushes]
        loop.run_until_complete(together(events))

    return send
