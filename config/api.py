"""The API under /api/v1/: every app's routers in one place, and JSON whatever happens."""

import functools
from collections.abc import Callable

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, URLResolver, path, re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI

from messaging import api as messaging
from messaging import http
from realtime import api as realtime

View = Callable[..., HttpResponse]

api = NinjaAPI(
    title="Doorbell",
    version="1",
    description="Durable notifications over HTTP. Live they come over the socket: /ws/notifications/.",
    urls_namespace="api",
    auth=http.Login(),
    parser=http.StrictParser(),
    renderer=http.PydanticRenderer(),
)
http.install(api)
for router in (
    messaging.session,
    messaging.account,
    messaging.messages,
    messaging.inbox,
    messaging.publishing,
    realtime.router,
):
    api.add_router("", router)


def edge(view: View) -> View:
    """Answer in JSON also where ninja or Django would answer in HTML or plain text, and run in no transaction."""

    @functools.wraps(view)
    def answer(request: HttpRequest, **arguments: str) -> HttpResponse:
        try:
            response = view(request, **arguments)
        except Http404:
            return missing(request)
        if isinstance(response, HttpResponseNotAllowed):
            refused = http.problem(405, "method_not_allowed", f"{request.method} isn't possible here.")
            refused["Allow"] = response["Allow"]
            return refused
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    # Each call asks for the CSRF token itself.
    return csrf_exempt(transaction.non_atomic_requests(answer))


@transaction.non_atomic_requests
@csrf_exempt
def missing(request: HttpRequest) -> HttpResponse:
    return http.problem(404, "not_found", "There is nothing at this address.")


def urls() -> list[URLPattern | URLResolver]:
    patterns, app_name, namespace = api.urls
    for pattern in patterns:
        pattern.callback = edge(pattern.callback)  # type: ignore[arg-type]
    return [path("api/v1/", (patterns, app_name, namespace)), re_path("^api(?:/|$)", missing)]
