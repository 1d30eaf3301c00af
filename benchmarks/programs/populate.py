"""Migrates a database, makes users with sessions, and prints [id, session key] of each: `populate COUNT HISTORY`.

`HISTORY`: how many notifications, each a revision of its own, a user has.
"""

import json
import sys
from datetime import timedelta
from typing import Any

import django


def main() -> None:
    django.setup()
    count, history = map(int, sys.argv[1:])
    from django.apps import apps
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    if apps.is_installed("benchmarks.peers.tutorial_app"):
        # It has no migrations, and refers to tables of apps that do.
        call_command("migrate", verbosity=0, run_syncdb=True)
    users = make_users(count)
    people = make_sessions(users)
    if apps.is_installed("messaging"):
        make_inboxes(users, history)
    print(json.dumps(people))


def make_users(count: int) -> list[Any]:
    from django.contrib.auth.models import User

    User.objects.bulk_create(
        [User(username=f"person{number:05}", password="!") for number in range(count)],  # noqa: S106
        batch_size=2000,
    )
    return list(User.objects.order_by("pk"))


def make_sessions(users: list[Any]) -> list[list[Any]]:
    from django.conf import settings
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.utils import timezone

    store, until = SessionStore(), timezone.now() + timedelta(days=1)
    people: list[list[Any]] = []
    sessions: list[Session] = []
    for user in users:
        login = {
            "_auth_user_id": str(user.pk),
            "_auth_user_hash": user.get_session_auth_hash(),
            "_auth_user_backend": settings.AUTHENTICATION_BACKENDS[0],
        }
        key = f"session{user.pk:025}"
        sessions.append(Session(session_key=key, session_data=store.encode(login), expire_date=until))
        people.append([user.pk, key])
    Session.objects.bulk_create(sessions, batch_size=2000)
    return people


def make_inboxes(users: list[Any], history: int) -> None:
    from messaging.models import Inbox, UserProfile
    from messaging.notifications import assign_revisions, notify_many

    UserProfile.objects.bulk_create([UserProfile(user=user) for user in users], ignore_conflicts=True)
    Inbox.objects.bulk_create([Inbox(user=user) for user in users], ignore_conflicts=True)
    ids = [user.pk for user in users]
    for number in range(history):
        for start in range(0, len(ids), 1000):
            notify_many(ids[start : start + 1000], "announcement", f"Earlier: {number}", "x" * 150)
            assign_revisions(ids[start : start + 1000])


if __name__ == "__main__":
    main()
