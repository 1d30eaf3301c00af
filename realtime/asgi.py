"""HTTP by Django, sockets by Channels: what a project's asgi.py makes its application with."""

from collections.abc import Awaitable, Callable
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter

from realtime.presence.writer import presence_writer
from realtime.sockets.routing import websocket_urlpatterns

Application = Callable[[Any, Any, Any], Awaitable[None]]


def with_sockets(http: Any) -> Application:
    """Return an ASGI application that is Django's `http`, and `/ws/notifications/` besides."""
    router = ProtocolTypeRouter({"http": http, "websocket": URLRouter(websocket_urlpatterns)})

    async def application(scope: Any, receive: Any, send: Any) -> None:
        # With the first request, so that a process that only answers HTTP reaps too. (Not every server has a lifespan.)
        presence_writer.start()
        await router(scope, receive, send)

    return application
