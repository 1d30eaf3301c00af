"""The socket's address over plain HTTP: 426, with a sentence that says why no WebSocket came of it.

A handshake gets here only where something is missing in the set-up. That is logged, once.
"""

import logging

from django.contrib.auth.decorators import login_not_required
from django.core.handlers.asgi import ASGIRequest
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

logger = logging.getLogger(__name__)

VISITED = "This is the address of a WebSocket: docs/protocol.md describes what is sent over it."
HTTP_ONLY = (
    "This server answers HTTP only, so no WebSocket opens, and pages see a notification when they are loaded again. "
    'Serve this address with `manage.py serve`; for `manage.py runserver` put "daphne" first in INSTALLED_APPS.'
)
NO_LIBRARY = (
    "The ASGI server has passed a WebSocket handshake on as HTTP, so no WebSocket opens, and pages see a notification "
    "when they are loaded again. uvicorn needs a library for WebSockets: pip install django-doorbell[server]"
)
PROXY = (
    "A proxy has taken the headers Upgrade and Connection out of a WebSocket handshake, so no WebSocket opens, and "
    "pages see a notification when they are loaded again. For nginx: proxy_http_version 1.1; proxy_set_header Upgrade "
    '$http_upgrade; proxy_set_header Connection "upgrade"; (docs/gunicorn.md)'
)

_logged: set[str] = set()


@login_not_required
@transaction.non_atomic_requests
@csrf_exempt
def upgrade_required(request: HttpRequest) -> HttpResponse:
    sentence = _why(request)
    response = HttpResponse(f"{sentence}\n", status=426, content_type="text/plain; charset=utf-8")
    if isinstance(request, ASGIRequest):
        # Required by HTTP. WSGI forbids an application these headers.
        response["Upgrade"], response["Connection"] = "websocket", "Upgrade"
    response["Cache-Control"] = "no-store"
    if _is_handshake(request):
        if sentence not in _logged:
            _logged.add(sentence)
            logger.warning("a WebSocket handshake was answered with 426: %s", sentence)
        # Instead of Django's line for each: a client tries again every few seconds.
        response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _why(request: HttpRequest) -> str:
    if not isinstance(request, ASGIRequest):
        return HTTP_ONLY
    if not _is_handshake(request):
        return VISITED
    # What is about one connection a proxy takes out unless it is configured otherwise; the rest arrives.
    return NO_LIBRARY if "Upgrade" in request.headers else PROXY


def _is_handshake(request: HttpRequest) -> bool:
    upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
    return request.method == "GET" and (upgrade or "Sec-WebSocket-Key" in request.headers)
