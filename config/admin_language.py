"""The admin in the language that the browser asks for; a middleware that leaves every other request as it is.

Django's LocaleMiddleware would do, and costs each call of the API two changes of thread.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware


@sync_and_async_middleware
def admin_language(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    if iscoroutinefunction(get_response):

        async def middleware(request: HttpRequest) -> Any:
            with _language_of(request):
                return _varied(request, await get_response(request))

    else:

        def middleware(request: HttpRequest) -> Any:  # type: ignore[misc]
            with _language_of(request):
                return _varied(request, get_response(request))

    return middleware


def _is_admin(request: HttpRequest) -> bool:
    return request.path_info.startswith("/admin/")


def _language_of(request: HttpRequest) -> AbstractContextManager[Any]:
    if not _is_admin(request):
        return nullcontext()
    return translation.override(translation.get_language_from_request(request))


def _varied(request: HttpRequest, response: Any) -> Any:
    if _is_admin(request):
        patch_vary_headers(response, ["Accept-Language"])
    return response
