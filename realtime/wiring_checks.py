"""System checks of how Doorbell is wired into a project: its URLs, its ASGI application, middleware, `runserver`.

All are warnings: a project may have its own way, and silences the check.
"""

import ast
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004  Django's name for it
from django.urls import URLResolver, get_resolver
from django.utils.module_loading import import_string

from messaging.conf import conf as project_conf
from messaging.hints import listed, paste

SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"
MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
# In this order.
ORDER = (SESSION, CSRF, AUTHENTICATION, LOGIN_REQUIRED)

SOCKETS = "realtime.sockets.routing"
OURS = 'ASGI_APPLICATION = "realtime.asgi.application"'


@register(Tags.urls)
def urls(**kwargs: Any) -> list[CheckMessage]:
    """The URLconf includes the API."""
    urlconf = getattr(settings, "ROOT_URLCONF", None)
    if not urlconf or _includes_ours(get_resolver().url_patterns):
        return []
    lines = 'from django.urls import include, path\n\nurlpatterns += [path("", include("realtime.urls"))]'
    return [
        Warning(
            f"{urlconf} doesn't include realtime.urls: pages find neither the API nor the socket, and stay silent.",
            hint=paste("Include them, under any prefix.", lines, _file(urlconf)),
            id="realtime.W022",
        )
    ]


def _includes_ours(patterns: list[Any]) -> bool:
    included = [pattern for pattern in patterns if isinstance(pattern, URLResolver)]
    return any(
        getattr(pattern.urlconf_name, "__name__", "") == "realtime.urls"
        or _includes_ours(pattern.url_patterns)
        for pattern in included
    )


@register()
def asgi_application(**kwargs: Any) -> list[CheckMessage]:
    """The ASGI application serves the sockets."""
    name = getattr(settings, "ASGI_APPLICATION", None)
    if name:
        wrong, hint = _fault(name)
    else:
        wrong = "ASGI_APPLICATION isn't set" if apps.is_installed("daphne") else ""
        hint = paste("Set it.", OURS)
    if not wrong:
        return []
    return [
        Warning(
            f"{wrong}: sockets are refused, and pages see a notification only when they are loaded again.",
            hint=hint,
            id="realtime.W021",
        )
    ]


def _fault(name: str) -> tuple[str, str]:
    """Return what is wrong, or "", and the hint. The module is imported only if its text doesn't show the sockets."""
    module, _, variable = name.rpartition(".")
    try:
        spec = find_spec(module)
        if module == "realtime.asgi" or (spec and spec.origin and _mentions_sockets(Path(spec.origin))):
            return "", ""
        import_string(name)
    except Exception as error:
        wrong = f"ASGI_APPLICATION, {name}, can't be imported ({type(error).__name__}: {error})"
        return wrong, paste("Mend it, or take Doorbell's, which serves HTTP and the sockets.", OURS)
    # Only an application with sockets imports them.
    if SOCKETS in sys.modules:
        return "", ""
    lines = f"from realtime.asgi import with_sockets\n\n{variable} = with_sockets({variable})"
    return (
        f"ASGI_APPLICATION, {name}, serves no sockets of Doorbell's",
        paste("Add the sockets to it.", lines, _file(module)),
    )


def _mentions_sockets(file: Path) -> bool:
    used = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Attribute):
            used.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and node.module == "realtime.asgi":
            used |= {f"realtime.asgi.{alias.name}" for alias in node.names}
    return bool(used & {"with_sockets", "websocket_urlpatterns", "realtime.asgi.application"})


@register()
def runserver(**kwargs: Any) -> list[CheckMessage]:
    """`runserver` serves WebSockets."""
    if (
        not settings.DEBUG
        or apps.is_installed("daphne")
        or not apps.is_installed("django.contrib.staticfiles")
    ):
        return []
    install = "" if find_spec("daphne") else " First: pip install django-doorbell[daphne]."
    return [
        Warning(
            "daphne isn't in INSTALLED_APPS: `runserver` serves no WebSockets, and pages keep reconnecting.",
            hint=paste(
                f"Put it first, or use `manage.py serve` and silence this check.{install}",
                'INSTALLED_APPS = ["daphne", *INSTALLED_APPS]',
            ),
            id="realtime.W020",
        )
    ]


@register()
def api_documents(**kwargs: Any) -> list[CheckMessage]:
    """The page of the API's documents has its scripts from this server."""
    if apps.is_installed("ninja"):
        return []
    return [
        Warning(
            "\"ninja\" isn't in INSTALLED_APPS: the page of the API's documents, api/v1/docs, loads its script and "
            "styles from cdn.jsdelivr.net.",
            hint=paste("Serve them yourself.", 'INSTALLED_APPS = [*INSTALLED_APPS, "ninja"]'),
            id="realtime.W024",
        )
    ]


@register()
def middleware(**kwargs: Any) -> list[CheckMessage]:
    """What the API takes a login and its CSRF token from is there, and in the right order."""
    places = _places(list(settings.MIDDLEWARE))
    needed = [CSRF] if project_conf.authenticate else [SESSION, CSRF, AUTHENTICATION]
    missing = [kind for kind in needed if kind not in places]
    pairs = [(SESSION, AUTHENTICATION), (AUTHENTICATION, LOGIN_REQUIRED)]
    pairs += [(SESSION, CSRF)] if settings.CSRF_USE_SESSIONS else []
    swapped = [
        (first, second) for first, second in pairs if places.get(first, -1) > places.get(second, sys.maxsize)
    ]
    if not missing and not swapped:
        return []
    faults = [f"lacks {_class(kind)}" for kind in missing]
    faults += [f"has {_class(second)} before {_class(first)}" for first, second in swapped]
    return [
        Warning(
            f"MIDDLEWARE {', '.join(faults)}: the API answers 401, 403 or 500 to users who are signed in.",
            hint=paste("Keep this order.", listed("MIDDLEWARE", _in_order(places, missing))),
            id="realtime.W023",
        )
    ]


def _places(names: list[str]) -> dict[str, int]:
    """Return where each kind of middleware is listed, as itself or as a subclass."""
    kinds = {
        kind: import_string(kind) for kind in (*ORDER, MESSAGES) if kind != LOGIN_REQUIRED or kind in names
    }
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        try:
            listed_class = import_string(name)
        except ImportError:  # Django says so when it loads it
            continue
        for kind, cls in kinds.items():
            if isinstance(listed_class, type) and issubclass(listed_class, cls):
                places.setdefault(kind, place)
    return places


def _in_order(places: dict[str, int], missing: list[str]) -> list[str]:
    names = list(settings.MIDDLEWARE)
    ours = [
        names[places[kind]] if kind in places else kind for kind in ORDER if kind in places or kind in missing
    ]
    # Where the first of them is, and before the messages, which need the session.
    start = min(places.values(), default=len(names))
    rest = [name for name in names if name not in ours]
    start = len([name for name in names[:start] if name not in ours])
    return [*rest[:start], *ours, *rest[start:]]


def _class(path: str) -> str:
    return path.rpartition(".")[2]


def _file(module: str) -> str:
    return f"{module.replace('.', '/')}.py"
