"""What tests of presence share: connects and disconnects, time that has passed, and what the database shows."""

import asyncio
import uuid
from datetime import timedelta

from django.db.models.functions import Now

from messaging.models import UserProfile
from realtime.db_threads import in_thread
from realtime.models import ServerProcess
from realtime.presence.leases import Closed, Opened
from realtime.presence.writer import presence_writer
from realtime.tests.client import TIMEOUT, eventually, eventually_in_database


def opened(user):
    return Opened(str(uuid.uuid4()), user.pk, "hash")


def closed(event, grace=5.0):
    return Closed(event.id, event.user_id, grace)


def shown(user):
    """What is stored of a user's presence: online, version, seconds until offline or None."""
    row = UserProfile.objects.annotate(now=Now()).get(user=user)
    left = None if row.offline_after is None else (row.offline_after - row.now).total_seconds()
    return row.is_online, row.version, left


def grace_is_over(*users):
    UserProfile.objects.filter(user__in=users).update(offline_after=Now() - timedelta(seconds=1))


def lease_is_over(process):
    ServerProcess.objects.filter(id=process).update(lease_until=Now() - timedelta(seconds=1))


async def written():
    """Everything that happened so far is in the database."""
    await eventually(lambda: presence_writer.process_id is not None)
    assert await asyncio.to_thread(presence_writer.flush, TIMEOUT)


async def shown_now(user):
    await written()
    return await in_thread(shown, user)


async def until_offline(user):
    await eventually_in_database(lambda: not UserProfile.objects.get(user=user).is_online)
