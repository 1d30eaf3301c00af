"""Request bodies are bounded before they are stored, and their types before they are parsed, at every address.

Django's ASGI handler writes a body of any size to a temporary file before it looks at the address, and under WSGI the
CSRF middleware does so with a form. DATA_UPLOAD_MAX_MEMORY_SIZE is only compared when a view reads the body. (Daphne
itself stores a body before it calls the application: behind it, only a proxy can bound what is stored.)

Large bodies, which Django holds in memory up to FILE_UPLOAD_MAX_MEMORY_SIZE each, are few at once: from the first
LARGE_BYTES to the head of the answer.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from django.http import JsonResponse

from messaging.addresses import network_of
from realtime.conf import conf
from realtime.fair_queue import FairQueue

from . import refusals
from .refusals import BUSY, Refused

# A client that has announced too much is answered at once; so much more is read, and thrown away, that it can read the
# answer instead of finding the connection reset.
LINGER_BYTES = 8 * 1024 * 1024
LINGER_SECONDS = 5.0
# Django parses it on the event loop: 60 KB of semicolons take 150 ms.
MAX_CONTENT_TYPE_BYTES = 1024

LARGE_BYTES = 64 * 1024
LARGE_BODIES, LARGE_BODIES_PER_ADDRESS = 24, 4
# Of one address. Their uploads rest meanwhile, each with some 280 KB in memory (uvloop reads 256,000 bytes at once),
# also when the client has left: while nothing is read, that isn't noticed.
LARGE_BODIES_WAITING, WAIT_SECONDS = 100, 30.0


def _too_large() -> Refused:
    return Refused(413, "too_large", f"The body is larger than {conf.max_body_bytes} bytes.")


TYPE_TOO_LONG = 431, "too_large", f"The Content-Type is longer than {MAX_CONTENT_TYPE_BYTES} bytes."
TOO_MANY = 429, "rate_limited", "Too many large requests at once: wait for their answers."


class AsgiBodyLimit:
    """ASGI middleware: 413 for an announced length at once, and for a chunked body when it reaches the limit.

    431 for a Content-Type beyond all use. A large body waits for its place; 429 if too many of its address do.
    """

    def __init__(self, application: Any) -> None:
        self.application = application
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, FairQueue] = WeakKeyDictionary()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        received, has_answered = 0, False
        place = contextlib.AsyncExitStack()

        async def receive_bounded() -> Any:
            nonlocal received
            message = await receive()
            was_large = received > LARGE_BYTES
            received += len(message.get("body", b""))
            if received > conf.max_body_bytes:
                raise _too_large()
            if received > LARGE_BYTES and not was_large:
                await self._take_place(place, scope)
            return message

        async def send_noted(message: Any) -> None:
            nonlocal has_answered
            has_answered = True
            await place.aclose()
            await send(message)

        try:
            _check_headers(scope["headers"])
            async with place:
                await self.application(scope, receive_bounded, send_noted)
        except Refused as refused:
            if not has_answered:
                await _refuse(refused, receive, send)

    async def _take_place(self, place: contextlib.AsyncExitStack, scope: Any) -> None:
        """Wait for a place, which `place` gives back. Raises Refused."""
        loop, address = asyncio.get_running_loop(), network_of(str((scope.get("client") or ("",))[0]))
        places = self._places.setdefault(loop, FairQueue(LARGE_BODIES, LARGE_BODIES_PER_ADDRESS))
        if places.waiting(address) >= LARGE_BODIES_WAITING:
            raise Refused(*TOO_MANY)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await place.enter_async_context(places.place(address))
        except TimeoutError:
            raise Refused(*BUSY) from None


def _check_headers(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise Refused for what is too large by the headers alone."""
    length = next((value for name, value in headers if name == b"content-length"), b"0")
    if length.isdigit() and int(length) > conf.max_body_bytes:
        raise _too_large()
    if sum(len(value) for name, value in headers if name == b"content-type") > MAX_CONTENT_TYPE_BYTES:
        raise Refused(*TYPE_TOO_LONG)


async def _refuse(refused: Refused, receive: Any, send: Any) -> None:
    head, body = refusals.messages(*refused.args)
    head["headers"].append((b"connection", b"close"))
    await send(head)
    await send({**body, "more_body": True})
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
        _, code, detail = _too_large().args
        body = JsonResponse({"detail": detail, "code": code}).content
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("413 Request Entity Too Large", headers)
        return [body]
