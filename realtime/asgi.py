"""The ASGI application: HTTP by Django, WebSockets by Channels. A project's asgi.py calls `with_sockets`."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from channels.routing import ProtocolTypeRouter

from realtime.http.body_limit import AsgiBodyLimit
from realtime.http.concurrency import AsgiConcurrency
from realtime.http.probes import AsgiProbes
from realtime.presence.writer import presence_writer
from realtime.sockets import routing

Application = Callable[[Any, Any, Any], Awaitable[None]]


def with_sockets(http: Any, websocket_urlpatterns: Iterable[Any] = ()) -> Application:
    """Return an ASGI application that serves `http`, Django's application, and `/ws/notifications/`.

    `websocket_urlpatterns`: a project's own routes to consumers, as for Channels' URLRouter.

    A request body over REALTIME_MAX_BODY_BYTES is answered with 413 before it is stored, at every address, and at most
    REALTIME_MAX_REQUESTS requests run at once.
    """
    http = AsgiBodyLimit(AsgiProbes(AsgiConcurrency(http)))
    router = ProtocolTypeRouter({"http": http, "websocket": routing.router(websocket_urlpatterns)})

    async def application(scope: Any, receive: Any, send: Any) -> None:
        # On the first request, so that processes that only answer HTTP expire dead processes, too. (Not every server
        # supports the lifespan protocol.)
        presence_writer.start()
        await router(scope, receive, send)

    return application
