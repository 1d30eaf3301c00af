"""anotify and anotify_many, called as a project calls them: in an async view and in an async consumer."""

import asyncio
import inspect
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.http import JsonResponse
from django.test import AsyncClient
from django.urls import path

from messaging.broadcasting import Progress, abroadcast
from messaging.exceptions import InvalidNotification, UnknownUser
from messaging.models import Notification
from messaging.notifications import anotify, anotify_many, notify, notify_many

pytestmark = pytest.mark.django_db(transaction=True)


async def view(request, name):
    user = await User.objects.aget(username=name)
    row = await anotify(user, "announcement", "From a view", url="/here/")
    return JsonResponse({"id": row.pk, "committed": not connection.in_atomic_block})


urlpatterns = [path("ring/<str:name>/", view)]


class Ringing(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        try:
            rows = await anotify_many(
                User.objects.filter(username__in=content), "announcement", "From a consumer"
            )
        except InvalidNotification as error:
            await self.send_json({"error": str(error)})
        else:
            await self.send_json({"ids": [row.pk for row in rows]})


def test_an_async_view_notifies(ada, settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    answer = async_to_sync(AsyncClient().get)("/ring/ada/").json()
    assert answer == {"id": Notification.objects.get(user=ada, title="From a view").pk, "committed": True}


def test_an_async_consumer_notifies_many(ada, grace):
    async def talk():
        socket = WebsocketCommunicator(Ringing.as_asgi(), "/")
        assert (await socket.connect())[0]
        await socket.send_json_to(["ada", "grace"])
        answer = await socket.receive_json_from(timeout=20)
        await socket.disconnect()
        return answer["ids"]

    made = async_to_sync(talk)()
    assert set(Notification.objects.filter(pk__in=made).values_list("user", flat=True)) == {ada.pk, grace.pk}


def test_many_calls_at_once_are_each_made_once(ada):
    async def ring():
        await asyncio.gather(
            *(anotify(ada, "announcement", f"No. {n}", dedupe_key=f"{n % 5}") for n in range(20))
        )

    async_to_sync(ring)()
    assert Notification.objects.filter(user=ada).count() == 5


def test_errors_are_those_of_the_synchronous_ones(ada):
    with pytest.raises(UnknownUser):
        async_to_sync(anotify)(10**6, "announcement", "For whom?")
    with pytest.raises(InvalidNotification):
        async_to_sync(anotify_many)([ada], "announcement", " ")
    assert not Notification.objects.exists()


def test_what_is_rolled_back_was_never_notified(ada):
    """Async code has no atomic(): what belongs together is one synchronous function."""

    def order():
        with transaction.atomic():
            notify(ada, "announcement", "Ordered")
            raise RuntimeError("not after all")

    async def view():
        await anotify(ada, "announcement", "Committed when it returns")
        with pytest.raises(RuntimeError):
            await sync_to_async(order)()

    async_to_sync(view)()
    assert list(Notification.objects.values_list("title", flat=True)) == ["Committed when it returns"]


@pytest.mark.parametrize(("one", "other"), [(notify, anotify), (notify_many, anotify_many)])
def test_they_take_what_the_synchronous_ones_take(one, other):
    assert inspect.signature(one) == inspect.signature(other)
    assert inspect.iscoroutinefunction(other)
    assert other.__name__ == f"a{one.__name__}"


def test_a_broadcast_from_async_code(ada, grace):
    async def send():
        return [
            progress
            async for progress in abroadcast(
                User.objects.filter(username__in=["ada", "grace"]), "announcement", "Noon", key="7"
            )
        ]

    assert async_to_sync(send)() == [Progress(2, 2)]
    assert Notification.objects.filter(title="Noon").count() == 2
