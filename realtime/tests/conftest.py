"""Sockets in the test's own process: each test has a hub of its own, and leaves no thread or connection at work."""

import asyncio
from unittest.mock import patch

import pytest
import uvicorn
from channels.layers import get_channel_layer
from django.db import connections
from uvicorn.server import ServerState

from realtime import background, pacing
from realtime.db_threads import in_thread
from realtime.delivery import hub
from realtime.outbound import receivers
from realtime.outbound import relay as relay_module
from realtime.outbound.relay import relay
from realtime.presence.writer import presence_writer
from realtime.server.http_protocol import HttpProtocol
from realtime.server.websocket_protocol import SocketProtocol
from realtime.tests import layers, raw_http
from realtime.tests.client import TIMEOUT, WebSocketClient, eventually, handshake, sign_in
from realtime.tests.fake_publisher import FakePublisher
from realtime.tests.processes import OtherProcess


@pytest.fixture(autouse=True)
def relay_at_rest(request):
    """Have the relay finish, and give its database connection back, before the tables are emptied."""
    marker = request.node.get_closest_marker("django_db")
    marked = marker is not None and marker.kwargs.get("transaction")
    if marked or "transactional_db" in request.fixturenames:
        # Set up before, so taken down after.
        request.getfixturevalue("transactional_db")
    yield
    if relay._thread is not None:
        assert receivers.flush(TIMEOUT)
        with patch.object(relay, "_assign", lambda user_ids: connections.close_all()):
            relay.assign({0})
            assert receivers.flush(TIMEOUT)


@pytest.fixture(autouse=True)
def unpaced():
    """Users' ids come again in each test, and what they have cost is forgotten."""
    yield
    for pace in (pacing.handshakes, pacing.replayed_bytes, pacing.frames):
        pace.clear()


@pytest.fixture
def unnumbered(monkeypatch):
    """`notify` leaves its rows pending, as in a transaction, so that the relay numbers them."""
    monkeypatch.setattr("messaging.storing.insert_numbered", lambda *args, **kwargs: None)


@pytest.fixture
def published(monkeypatch, transactional_db):
    """A relay of its own, and what it sends."""
    listener = FakePublisher()
    monkeypatch.setattr(relay_module, "publisher_for", listener)
    # Its thread makes the publisher that fits the layer; another layer makes it anew, and back again after the test.
    monkeypatch.setattr(relay_module, "get_channel_layer", lambda: listener)
    yield listener
    listener.open.set()
    assert receivers.flush(20)


class Server:
    """What the sockets of a test connect to."""

    def __init__(self):
        self.sockets = []
        self.sessions = {}

    @property
    def hub(self):
        return hub.running_hub()

    def user_sockets(self, user):
        return self.hub.users[user.pk]

    def client_socket(self, user):
        [socket] = self.user_sockets(user).sockets
        return socket

    async def session(self, user):
        """The key of a login of this user, always the same one."""
        if user.pk not in self.sessions:
            self.sessions[user.pk] = await in_thread(sign_in, user)
        return self.sessions[user.pk]

    def socket(self, *args, **kwargs):
        """A socket that hasn't shaken hands yet."""
        socket = WebSocketClient(*args, **kwargs)
        self.sockets.append(socket)
        return socket

    async def open(self, user, since=None, epoch=None, **kwargs):
        """A socket that was accepted, and from which nothing has been read."""
        query = "&".join(
            f"{name}={value}" for name, value in (("since", since), ("epoch", epoch)) if value is not None
        )
        socket = self.socket(query, handshake(await self.session(user)), since=since, **kwargs)
        await socket.open()
        return socket

    async def connect(self, user, since=None, epoch=None, **kwargs):
        """A socket that is live."""
        socket = await self.open(user, since, epoch, **kwargs)
        while not socket.live:
            await socket.next()
        return socket

    async def stop(self):
        for socket in self.sockets:
            if socket.communicator._future is not None:
                # What it doesn't read must not keep the server's side from ending.
                socket.communicator.output_queue._maxsize = 0
                socket.communicator._future.cancel()
                await asyncio.wait([socket.communicator._future])
        assert await asyncio.to_thread(receivers.flush, TIMEOUT)
        running = hub._hubs.pop(asyncio.get_running_loop(), None)
        if running is not None:
            await running.stop()
        await stop_presence()
        for task in list(background._tasks):
            task.cancel()
        await asyncio.gather(*background._tasks, return_exceptions=True)
        await get_channel_layer().flush()


async def stop_presence():
    if presence_writer._thread is not None:
        await asyncio.to_thread(presence_writer.stop, TIMEOUT)
        assert presence_writer._thread is None


@pytest.fixture
async def server(transactional_db, monkeypatch):
    # It is slept through at each test's end.
    monkeypatch.setattr("realtime.presence.writer.GATHER_SECONDS", 0.005)
    # The first heartbeat comes at random: in between whatever a test listens to, if that takes a second or more.
    monkeypatch.setattr("realtime.delivery.sweeps.HEARTBEAT_CHECK_SECONDS", 1_000_000)
    running = Server()
    yield running
    await running.stop()


@pytest.fixture
def other_process(transactional_db):
    """The presence of another server process: its loop and its thread."""
    process = OtherProcess()
    yield process.loop, process.presence
    process.stop()


@pytest.fixture
async def protocols():
    """The protocol instances of a server's connections. Its application reads the whole request."""
    return []


@pytest.fixture
async def application():
    """What the server of `port` serves."""
    return raw_http.application


@pytest.fixture
async def config(application):
    """The configuration of the server of `port`, as `serve` makes it."""
    config = uvicorn.Config(
        application,
        http=HttpProtocol,
        ws=SocketProtocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        forwarded_allow_ips="",
    )
    config.load()
    return config


@pytest.fixture
async def protocol(protocols, config):
    def make():
        protocols.append(HttpProtocol(config, ServerState(), {}))
        return protocols[-1]

    return make


@pytest.fixture
async def port(protocol, protocols):
    listening = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    yield listening.sockets[0].getsockname()[1]
    listening.close()
    await eventually(lambda: not any(known.connections or known.tasks for known in protocols))


@pytest.fixture
async def pass_by(monkeypatch):
    """A function that moves the loop's clock forward by seconds."""
    loop, passed = asyncio.get_running_loop(), [0.0]
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + passed[0])

    def forward(seconds):
        passed[0] += seconds

    return forward


@pytest.fixture(params=["hint", "sweep"])
def channel(request, settings):
    """What brings a change: a hint, or the sweep alone, with a layer that drops every hint."""
    settings.REALTIME_SWEEP_SECONDS = 1_000_000
    if request.param == "sweep":
        settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    return request.param
