"""Request bodies are bounded before they are stored, and their types before they are parsed, at every address.

Django's ASGI handler writes a body of any size to a temporary file before it looks at the address, and under WSGI the
CSRF middleware does so with a form. DATA_UPLOAD_MAX_MEMORY_SIZE is only compared when a view reads the body. (Daphne
itself stores a body before it calls the application: behind it, only a proxy can bound what is stored.)
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

from django.http import JsonResponse

from realtime.conf import conf

# A client that has announced too much is answered at once; so much more is read, and thrown away, that it can read the
# answer instead of finding the connection reset.
LINGER_BYTES = 8 * 1024 * 1024
LINGER_SECONDS = 5.0


# Django parses it on the event loop: 60 KB of semicolons take 150 ms.
MAX_CONTENT_TYPE_BYTES = 1024


class _TooLarge(Exception):
    """The body has grown beyond the limit."""


def _body_refusal() -> JsonResponse:
    detail = f"The body is larger than {conf.max_body_bytes} bytes."
    return JsonResponse({"detail": detail, "code": "too_large"}, status=413)


def _type_refusal() -> JsonResponse:
    detail = f"The Content-Type is longer than {MAX_CONTENT_TYPE_BYTES} bytes."
    return JsonResponse({"detail": detail, "code": "too_large"}, status=431)


class AsgiBodyLimit:
    """ASGI middleware: 413 for an announced length at once, and for a chunked body when it reaches the limit.

    431 for a Content-Type beyond all use.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if length.isdigit() and int(length) > conf.max_body_bytes:
            await self._refuse(_body_refusal(), receive, send)
            return
        if (
            sum(len(value) for name, value in scope["headers"] if name == b"content-type")
            > MAX_CONTENT_TYPE_BYTES
        ):
            await self._refuse(_type_refusal(), receive, send)
            return
        received, has_answered = 0, False

        async def receive_bounded() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > conf.max_body_bytes:
                raise _TooLarge
            return message

        async def send_noted(message: Any) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        try:
            await self.application(scope, receive_bounded, send_noted)
        except _TooLarge:
            if not has_answered:
                await self._refuse(_body_refusal(), receive, send)

    async def _refuse(self, refused: JsonResponse, receive: Any, send: Any) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(refused.content)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": refused.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": refused.content, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                lingered = 0
                while lingered < LINGER_BYTES:
                    message = await receive()
                    lingered += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        break
        await send({"type": "http.response.body", "body": b""})


class WsgiBodyLimit:
    """WSGI middleware: 413 for an announced length. (Without one, Django reads no body.)"""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdigit() or int(length) <= conf.max_body_bytes:
            answer: Iterable[bytes] = self.application(environ, start_response)
            return answer
        refused = _body_refusal()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(refused.content))),
        ]
        start_response("413 Request Entity Too Large", headers)
        return [refused.content]
