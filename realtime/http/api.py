"""The API under `api/v1/`: both apps' routers in one place, and JSON for every answer, errors included."""

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, get_script_prefix, path
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.openapi.docs import Swagger
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from messaging import data_shapes
from messaging.api import accounts, blocks, doors, errors, openapi, parsing, routes, security
from realtime import mount

from . import tickets
from .cors import cross_origin
from .documents import Document
from .unclaimed import NamePattern, UnclaimedPattern

View = Callable[..., HttpResponseBase]

DESCRIPTION = """\
Durable notifications over HTTP. Live they come over the socket, `{socket}`, which
[asyncapi.json](asyncapi.json) describes. Every error is a Problem: `detail` is for people, `code` for
programs. Lists are newest first; a page's `next` is the `before` of the page that follows it, or null.

[Back to the site]({home})
"""


ROUTERS = (
    accounts.session,
    accounts.account,
    routes.messages,
    blocks.router,
    routes.inbox,
    routes.publishing,
    tickets.router,
)


class Docs(Swagger):
    def get_openapi_url(self, api: NinjaAPI, path_params: Any) -> str:
        return f"{mount.api_path()}openapi.json"


class Api(NinjaAPI):
    def get_root_path(self, path_params: Any) -> str:
        return mount.api_path()

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        document["info"]["description"] = DESCRIPTION.format(
            socket=mount.socket_path(), home=get_script_prefix()
        )
        openapi.complete(
            document,
            settings.SESSION_COOKIE_NAME,
            security.csrf_header(),
            closed=doors.closed_calls(ROUTERS),
            types=data_shapes.declared(),
        )
        return document

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__


api = Api(
    title="Doorbell",
    version="1",
    docs=Docs(),
    urls_namespace=mount.NAMESPACE,
    auth=security.SessionOrToken(),
    parser=parsing.StrictParser(),
    renderer=parsing.PydanticRenderer(),
)
api.add_decorator(parsing.closed_query)
api.add_decorator(security.few_at_once)
errors.add_handlers(api)
for router in ROUTERS:
    api.add_router("", router)


# The API's path stands before each of its addresses.
_openapi = Document(lambda api_path, open_doors, types: api.get_openapi_schema())


def openapi_json(request: HttpRequest) -> HttpResponseBase:
    return _openapi(request, mount.api_path(), doors.open_doors(), data_shapes.declared())


def json_only(view: View, behind: doors.Doors | None = None) -> View:
    """Wrap a view of ninja: JSON where ninja or Django would answer in HTML or plain text; no transaction around it.

    `behind`: the doors of its methods, if one has any. A closed one is as if there were no such call.
    """

    @functools.wraps(view)
    def respond(request: HttpRequest, **arguments: str) -> HttpResponseBase:
        if behind and (refused := doors.refusal(behind, request.method)):
            return errors.problem(404, "not_found", refused)
        try:
            response = view(request, **arguments)
        except Http404:
            return not_found(request)
        if isinstance(response, HttpResponseNotAllowed):
            problem = errors.problem(405, "method_not_allowed", f"{request.method} isn't possible here.")
            allowed = response["Allow"].split(", ")
            problem["Allow"] = ", ".join(
                method for method in allowed if doors.is_open((behind or {}).get(method))
            )
            return problem
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    # The API's own authentication checks the login and the CSRF token.
    return login_not_required(csrf_exempt(transaction.non_atomic_requests(cross_origin(respond))))


@login_not_required
@transaction.non_atomic_requests
@csrf_exempt
def not_found(request: HttpRequest) -> HttpResponse:
    return errors.problem(404, "not_found", "There is nothing at this address.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400, for what fails before a view is reached: a `Host` that isn't allowed, for example."""
    if request.path_info.startswith("/api/"):
        return errors.problem(400, "bad_request", "The request can't be served as it is.")
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, for what fails outside of a view. Django has logged it."""
    if request.path_info.startswith("/api/"):
        return errors.problem(500, "server_error", "Something went wrong on the server. It has been logged.")
    return defaults.server_error(request)


def urls() -> list[URLPattern | URLResolver]:
    patterns, app_name, namespace = api.urls
    behind = doors.by_route(ROUTERS)
    for pattern in patterns:
        if isinstance(pattern, URLPattern) and pattern.name == "openapi-json":
            # ninja's view makes the document for each request.
            pattern.callback = openapi_json
        if isinstance(pattern, URLPattern) and pattern.name == "api-root":
            # ninja's only gives the API's path its name.
            pattern.pattern = NamePattern("", name="api-root", is_endpoint=True)
        pattern.callback = json_only(pattern.callback, behind.get(str(pattern.pattern)))  # type: ignore[arg-type]
    return [
        path(mount.API, (patterns, app_name, namespace)),
        URLPattern(UnclaimedPattern("^api/v1(?:/|$)"), cross_origin(not_found)),
    ]
