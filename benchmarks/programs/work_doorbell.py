"""Writes by Doorbell: stored ones by its public functions, pushes of frames that are stored nowhere, and bare rows."""

import functools
import itertools
import json
import os
from collections.abc import Callable, Sequence

from benchmarks.programs.work import Work

# Message.save() is measured between people who are contacts already.
PAIRS = 100


def flush() -> None:
    from realtime.outbound import receivers

    receivers.flush(30)


def notify(users: list[int]) -> Work:
    from messaging import notifications

    turns = itertools.cycle(users)

    def run(texts: Sequence[str]) -> None:
        for text in texts:
            notifications.notify(next(turns), "announcement", "Benchmark", text)

    return Work(run, flush=flush)


def notify_in_transaction(users: list[int]) -> Work:
    from django.db import transaction

    from messaging import notifications

    turns = itertools.cycle(users)

    def run(texts: Sequence[str]) -> None:
        for text in texts:
            with transaction.atomic():
                notifications.notify(next(turns), "announcement", "Benchmark", text)

    return Work(run, flush=flush)


def save(users: list[int]) -> Work:
    from django.contrib.auth.models import User

    from messaging.models import Message

    ids = users[:PAIRS]
    people = User.objects.in_bulk(ids)
    pairs = [(people[one], people[other]) for one, other in zip(ids, [*ids[1:], ids[0]], strict=True)]
    for sender, receiver in pairs:
        Message(sender=sender, receiver=receiver, content="warm").save()
    turns_of_pairs = itertools.cycle(pairs)

    def run(texts: Sequence[str]) -> None:
        for text in texts:
            sender, receiver = next(turns_of_pairs)
            Message(sender=sender, receiver=receiver, content=text).save()

    return Work(run, flush=flush)


def notify_all(users: list[int]) -> Work:
    from messaging import notifications

    def run(texts: Sequence[str]) -> None:
        for text in texts:
            notifications.notify_many(users, "announcement", "Benchmark", text)

    return Work(run, flush=flush, warms_up=False)


def push(users: list[int]) -> Work:
    """Ready-numbered frames to one user after the other.

    Its numbers go on where the database's ended when this process began to push: for sockets opened before that.
    """
    send, turns = _pusher(), itertools.cycle(users)
    return Work(lambda texts: send([(next(turns), text) for text in texts]), at_once=20, warms_up=False)


def push_all(users: list[int]) -> Work:
    """A ready-numbered frame to each of all users."""
    send = _pusher()
    return Work(lambda texts: send([(user, text) for text in texts for user in users]), warms_up=False)


@functools.cache
def _pusher() -> Callable[[list[tuple[int, str]]], None]:
    from channels.layers import get_channel_layer

    from messaging.models import Inbox
    from realtime.outbound.envelopes import RevisionEnvelope
    from realtime.outbound.publishers import publisher_for

    publisher = publisher_for(get_channel_layer())
    revisions: dict[int, int] = dict(Inbox.objects.values_list("user_id", "revision"))

    def send(pushes: list[tuple[int, str]]) -> None:
        messages = []
        for user, text in pushes:
            revision = revisions[user] = revisions[user] + 1
            frame = FRAME % (revision, revision, revision, json.dumps(text))
            messages.append(RevisionEnvelope(user, revision, revision, frame).encode())
        publisher.publish(messages)

    return send


FRAME = (
    '{"type":"inbox","revision":%d,"unread_count":%d,"replayed":false,"added":[{"id":%d,"notification_type":'
    '"announcement","title":"Benchmark","description":%s,"level":"info","url":null,"is_read":false,"created_at":'
    '"2026-01-01T00:00:00Z","actor":null,"message_id":null}],"read":[],"unread":[],"removed":[]}'
)


def bare(users: list[int]) -> Work:
    """One row a transaction, by a prepared statement, without lock, revision, badge and push."""
    insert = _bare()
    turns = itertools.cycle(_strangers(len(users)))

    def run(texts: Sequence[str]) -> None:
        for text in texts:
            insert([next(turns)], text)

    return Work(run)


def bare_all(users: list[int]) -> Work:
    """The same for a row of each user in one statement."""
    insert, strangers = _bare(), _strangers(len(users))

    def run(texts: Sequence[str]) -> None:
        for text in texts:
            insert(strangers, text)

    return Work(run)


@functools.cache
def _strangers(count: int) -> list[int]:
    """So many users who never connect: bare rows leave inboxes uncounted, which the server would repair."""
    from django.contrib.auth.models import User

    from messaging.models import Inbox

    names = {f"stranger{number}" for number in range(count)}
    names -= set(User.objects.filter(username__in=names).values_list("username", flat=True))
    made = User.objects.bulk_create([User(username=name) for name in sorted(names)])
    Inbox.objects.bulk_create([Inbox(user=user) for user in made], ignore_conflicts=True)
    return list(User.objects.filter(username__startswith="stranger").values_list("pk", flat=True)[:count])


@functools.cache
def _bare() -> Callable[[list[int], str], None]:
    import psycopg

    connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    statement = (
        "INSERT INTO messaging_notification (user_id, notification_type, title, description, level, is_read, revision,"
        " pending_since, counted) SELECT unnest(%s::bigint[]), 'announcement', 'Benchmark', %s, 'info', false, 1, NULL,"
        " true"
    )

    def insert(users: list[int], text: str) -> None:
        connection.execute(statement, (users, text), prepare=True)

    return insert
