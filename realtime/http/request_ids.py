"""Middleware: gives each HTTP request its id, that of its `X-Request-ID` or a new one, and returns it in the answer."""

import logging
from collections.abc import Iterable
from typing import Any

from realtime import request_id

logger = logging.getLogger(__name__)

HEADER = b"x-request-id"


class AsgiRequestId:
    """Outside all others: what they refuse and log has an id, too."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == HEADER), b"")
        accepted = request_id.accepted(given.decode("latin-1"))

        async def send_named(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ())]
                # A project's own middleware may have answered with one.
                if not any(name.lower() == HEADER for name, _ in headers):
                    message = {**message, "headers": [*headers, (HEADER, accepted.encode())]}
                # Without the path: a project's may hold secrets.
                logger.debug(
                    "answered: method=%(method)s status=%(status)s",
                    {"method": scope["method"], "status": message["status"]},
                )
            await send(message)

        with request_id.bound(accepted):
            await self.application(scope, receive, send_named)


class WsgiRequestId:
    """The same for WSGI."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        accepted = request_id.accepted(environ.get("HTTP_X_REQUEST_ID", ""))

        def start_named(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if not any(name.lower() == HEADER.decode() for name, _ in headers):
                headers = [*headers, ("X-Request-ID", accepted)]
            logger.debug(
                "answered: method=%(method)s status=%(status)s",
                {"method": environ["REQUEST_METHOD"], "status": status[:3]},
            )
            return start_response(status, headers, *rest)

        with request_id.bound(accepted):
            answer: Iterable[bytes] = self.application(environ, start_named)
            return answer
