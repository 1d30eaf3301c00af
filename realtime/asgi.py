"""The ASGI application: HTTP by Django, WebSockets by Channels.

A project without sockets of its own takes `realtime.asgi.application`; others call `with_sockets`. Both set Django
up themselves, so nothing of Django's needs to be imported, or called, in a certain order.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import cache
from typing import Any

from messaging.app_labels import require

Application = Callable[[Any, Any, Any], Awaitable[None]]


def with_sockets(http: Any = None, websocket_urlpatterns: Iterable[Any] = ()) -> Application:
    """Return an ASGI application that serves `http`, and the socket beside the API: `/ws/notifications/` by default.

    `http`: Django's application by default. `websocket_urlpatterns`: a project's own routes to consumers, as for
    Channels' URLRouter.

    A request body over REALTIME_MAX_BODY_BYTES is answered with 413 before it is stored, at every address, and at most
    REALTIME_MAX_REQUESTS requests run at once.
    """
    from django.core.asgi import get_asgi_application

    http = http or get_asgi_application()
    require("messaging", "realtime")

    # After Django has been set up.
    from channels.routing import ProtocolTypeRouter

    from realtime.http.body_limit import AsgiBodyLimit
    from realtime.http.concurrency import AsgiConcurrency
    from realtime.http.counting import AsgiCounting
    from realtime.http.giving_up import AsgiGivingUp
    from realtime.http.probes import AsgiProbes
    from realtime.http.request_ids import AsgiRequestId
    from realtime.presence.writer import presence_writer
    from realtime.sockets import routing

    http = AsgiRequestId(AsgiCounting(AsgiGivingUp(AsgiBodyLimit(AsgiProbes(AsgiConcurrency(http))))))
    router = ProtocolTypeRouter({"http": http, "websocket": routing.router(websocket_urlpatterns)})

    async def application(scope: Any, receive: Any, send: Any) -> None:
        # On the first request, so that processes that only answer HTTP expire dead processes, too. (Not every server
        # supports the lifespan protocol.)
        presence_writer.start()
        await router(scope, receive, send)

    return application


@cache
def _application() -> Application:
    return with_sockets()


def __getattr__(name: str) -> Any:
    if name == "application":
        return _application()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
