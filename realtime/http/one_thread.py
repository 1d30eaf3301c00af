"""Optional, as the last of MIDDLEWARE, for a project whose views are synchronous: each request in one thread.

Under ASGI Django runs each of its own middleware in async mode, and each hook of it changes to a thread and back: with
its usual ones some 17 times a request. Behind one that is synchronous alone it runs them all in the same thread. An
asynchronous view would keep that thread waiting, and a task that it leaves behind couldn't use the ORM any more.
https://docs.djangoproject.com/en/stable/topics/http/middleware/#asynchronous-support
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_only_middleware


@sync_only_middleware
def one_thread(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        return get_response(request)

    return middleware
