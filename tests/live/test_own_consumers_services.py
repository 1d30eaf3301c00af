"""A project's own chat and worker, as in Channels' tutorial, on our layer and beside Doorbell: three processes."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import websockets

from .conftest import Deployment
from .servers import ROOT, Server

FILES = {
    "chat_settings.py": """
from config.settings import *
ASGI_APPLICATION = "chat_asgi.application"
""",
    "chat_asgi.py": """
import os
from django.core.asgi import get_asgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chat_settings")
http = get_asgi_application()

from channels.routing import ChannelNameRouter, ProtocolTypeRouter, URLRouter
from django.urls import path, re_path
from realtime.asgi import with_sockets
from chat import ChatConsumer, ThumbnailsConsumer

doorbell = with_sockets(http)
application = ProtocolTypeRouter({
    "http": doorbell,
    "websocket": URLRouter([path("ws/chat/<room>/", ChatConsumer.as_asgi()), re_path("", doorbell)]),
    "channel": ChannelNameRouter({"thumbnails": ThumbnailsConsumer.as_asgi()}),
})
""",
    "chat.py": """
import json
from asgiref.sync import sync_to_async
from channels.consumer import AsyncConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

class ChatConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        self.room = "chat_" + self.scope["url_route"]["kwargs"]["room"]
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.room, self.channel_name)

    async def receive(self, text_data):
        said = json.loads(text_data)
        if "picture" in said:
            order = {"type": "make", "reply_to": self.channel_name, **said}
            await self.channel_layer.send("thumbnails", order)
        else:
            await self.channel_layer.group_send(self.room, {"type": "chat.message", **said})

    async def chat_message(self, event):
        await self.send(text_data=json.dumps({"message": event["message"]}))

class ThumbnailsConsumer(AsyncConsumer):
    async def make(self, event):
        from messaging.notifications import notify
        await sync_to_async(notify)(event["user"], "announcement", f"Picture {event['picture']} is ready")
        ready = {"type": "chat.message", "message": f"thumbnail of {event['picture']}"}
        await self.channel_layer.send(event["reply_to"], ready)
""",
}


@pytest.fixture
async def worker(deployment: Deployment, tmp_path: Path) -> AsyncIterator[None]:
    """`manage.py runworker thumbnails`; the deployment's servers run the chat."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    deployment.environment |= {"PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "chat_settings"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "manage.py", "runworker", "thumbnails",
        cwd=ROOT, env=deployment.environment, start_new_session=True,
    )  # fmt: skip
    try:
        yield
        assert process.returncode is None, "the worker has ended"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


class Guest:
    """A socket of the chat."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    async def say(self, **said: object) -> None:
        await self._socket.send(json.dumps(said))

    async def hears(self) -> str:
        heard: str = json.loads(await asyncio.wait_for(self._socket.recv(), 30))["message"]
        return heard


@contextlib.asynccontextmanager
async def in_the_lobby(server: Server) -> AsyncIterator[Guest]:
    async with websockets.connect(f"ws://{server.address}/ws/chat/lobby/", proxy=None) as socket:
        yield Guest(socket)


async def test_a_chat_and_a_worker_run_beside_doorbell(deployment: Deployment, worker: None) -> None:
    here, there = await deployment.start_two()
    ada = deployment.person(here)
    tab = await ada.tab()
    async with in_the_lobby(here) as one, in_the_lobby(there) as other:
        for number in range(20):
            await (one, other)[number % 2].say(message=f"number {number}")
            assert await one.hears() == await other.hears() == f"number {number}"

        # A channel has a receiver from the moment at which the worker is subscribed.
        answer: asyncio.Task[str] = asyncio.create_task(one.hears())
        asked = 0
        while not answer.done():
            await one.say(picture=asked, user=ada.id)
            asked += 1
            await asyncio.wait([answer], timeout=0.5)
        heard = [answer.result()]
        while heard[-1] != f"thumbnail of {asked - 1}":
            heard.append(await one.hears())
        for number in range(100, 120):
            await one.say(picture=number, user=ada.id)
        assert [await one.hears() for _ in range(20)] == [
            f"thumbnail of {number}" for number in range(100, 120)
        ]
        # Only the one who asked has the answers.
        await one.say(message="and that is all")
        assert await other.hears() == "and that is all"
    await tab.until_shows(unread=len(heard) + 20)
    assert set(tab.inbox.times_added.values()) == {1}
    await tab.until_consistent()
