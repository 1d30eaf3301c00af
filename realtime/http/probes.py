"""Probes and scrapes are answered before Django's middleware, wherever the project has put their addresses.

They come over plain HTTP, to a process's address, without a login: ALLOWED_HOSTS, SECURE_SSL_REDIRECT, PREPEND_WWW or
LoginRequiredMiddleware would answer in their place, and no process would ever be ready. (Not under WSGI.)
"""

import inspect
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.http import Http404
from django.urls import resolve

from . import health, metrics

VIEWS = {view.__name__: view for view in (health.healthz, health.readyz, metrics.metrics)}


class AsgiProbes:
    """ASGI middleware: answers GET and HEAD of /healthz, /readyz and /metrics itself."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        view = _view(scope)
        if view is None:
            await self.application(scope, receive, send)
            return
        response = view(ASGIRequest(scope, BytesIO()))
        if inspect.isawaitable(response):
            response = await response
        headers = {"Content-Length": str(len(response.content)), **response.headers}
        await send(
            {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            }
        )
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.content}
        )


def _view(scope: Any) -> Any:
    """Return the view of a probe's address, None for any other request."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return None
    view = VIEWS.get(scope["path"].rpartition("/")[2])
    try:
        # As Django finds it: without the server's root_path, or FORCE_SCRIPT_NAME.
        path = scope["path"].removeprefix(get_script_prefix(scope))
        return view if view is not None and resolve(path).func is view else None
    except Http404:
        return None
