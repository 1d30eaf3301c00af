"""The template tag `{% doorbell %}`: all that a page needs for bell and toasts, links and addresses included.

    {% load doorbell %}{% doorbell %}      or apart: {% doorbell "bell" %} in the header, {% doorbell "toasts" %} below

A visitor who isn't signed in gets nothing: no script, no connection. It depends on no other tag of the page, so it may
stand anywhere in the body, and more than once.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from django import template
from django.contrib.staticfiles.storage import staticfiles_storage
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join, json_script
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from messaging import inboxes
from realtime import mount

register = template.Library()

PARTS = ("bell", "toasts")
ADDRESSES = "addresses"
STYLES = {"bell": "bell/bell.css", "toasts": "toast/toast.css"}
# What the module doorbell/<part>.js imports, directly and further on. A test compares it with the modules.
SHARED = (
    "doorbell/page.js",
    "client/backoff.js",
    "client/choose-stream.js",
    "client/client.js",
    "client/clock.js",
    "client/connect.js",
    "client/cursor.js",
    "client/http.js",
    "client/inbox.js",
    "client/page-addresses.js",
    "client/page-lifecycle.js",
    "client/pages.js",
    "client/presence.js",
    "client/protocol.js",
    "client/retry.js",
    "client/socket.js",
    "client/stream.js",
    "client/tabs/leader-election.js",
    "client/tabs/leader-outbox.js",
    "client/tabs/shared-stream.js",
    "client/tabs/tab-visibility.js",
    "elements/actions.js",
    "elements/attach.js",
    "elements/element.js",
    "elements/icons.js",
    "elements/initials.js",
    "elements/labels.js",
    "elements/own-content.js",
    "elements/relative-time.js",
    "elements/safe-url.js",
    "elements/upgrade-property.js",
    "labels/en.js",
)
MODULES = {
    "bell": (
        *SHARED,
        "bell/bell.js",
        "bell/define.js",
        "bell/desktop.js",
        "bell/format.js",
        "bell/list.js",
        "elements/status.js",
    ),
    "toasts": (
        *SHARED,
        "toast/announcer.js",
        "toast/define.js",
        "toast/follow.js",
        "toast/stack.js",
        "toast/toast.js",
    ),
}
# As in static/bell/bell.js and format.js.
MAX_BADGE = 99
BELL_PATH = (
    "M12 3a6 6 0 0 0-6 6v4.2L4.4 16a.8.8 0 0 0 .7 1.2h13.8a.8.8 0 0 0 .7-1.2L18 13.2V9a6 6 0 0 0-6-6Z"
    "m-2.4 15.6a2.5 2.5 0 0 0 4.8 0Z"
)


@register.simple_tag(takes_context=True)
def doorbell(context: template.Context, *parts: str) -> SafeString:
    """Render these parts, "bell" and "toasts" by default. "addresses": for a page whose code calls `connect()`."""
    if unknown := set(parts) - {*PARTS, ADDRESSES}:
        names = ", ".join(sorted(repr(part) for part in unknown))
        raise template.TemplateSyntaxError(f'doorbell has "bell", "toasts" and "addresses", not {names}.')
    request = context.get("request")
    if request is None:
        raise template.TemplateSyntaxError(
            "doorbell needs `request` in the context: add django.template.context_processors.request to TEMPLATES."
        )
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return SafeString("")
    nonce = _nonce(request, context)
    chosen = [part for part in PARTS if not parts or part in parts]
    return SafeString("\n".join(_pieces(user, chosen, nonce)))


def _pieces(user: Any, parts: list[str], nonce: SafeString) -> Iterator[SafeString]:
    yield _addresses()
    styles = ((static(STYLES[part]), nonce) for part in parts)
    yield format_html_join("\n", '<link rel="stylesheet" href="{}"{}>', styles)
    entries = {part: static(f"doorbell/{part}.js") for part in parts}
    # Each once: the parts share most of their modules.
    modules = dict.fromkeys(url for part, entry in entries.items() for url in _imported_by(entry, part))
    yield format_html_join("\n", '<link rel="modulepreload" href="{}"{}>', ((url, nonce) for url in modules))
    scripts = ((url, nonce) for url in entries.values())
    yield format_html_join("\n", '<script type="module" src="{}"{}></script>', scripts)
    if "bell" in parts:
        yield _bell(user)
    if "toasts" in parts:
        yield SafeString("<doorbell-toasts></doorbell-toasts>")


def _addresses() -> SafeString:
    data = json_script({"api": mount.api_path(), "socket": mount.socket_path()})
    return SafeString(data.replace("<script", "<script data-doorbell", 1))


def _imported_by(entry: str, part: str) -> Iterator[str]:
    """The URLs of the modules that this one imports, as the browser will find them.

    A storage that hashes names writes them into the imports only if it is configured to.
    """
    hashed = getattr(staticfiles_storage, "support_js_module_import_aggregation", False)
    for module in MODULES[part]:
        yield static(module) if hashed else urljoin(entry, f"../{module}")


def _bell(user: Any) -> SafeString:
    """The bell as it is before any script runs, which then puts a button in its place."""
    count = inboxes.unread_count(user.pk)
    label = gettext("Notifications, none unread")
    if count:
        label = ngettext("Notifications, %(count)d unread", "Notifications, %(count)d unread", count)
    return format_html(
        '<doorbell-bell unread="{0}"><span class="bell-button" role="img" aria-label="{1}">'
        '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{2}"/></svg>'
        '<span class="bell-badge" data-count="{0}" aria-hidden="true">{3}</span></span></doorbell-bell>',
        str(count),  # without a thousands separator
        label % {"count": count},
        BELL_PATH,
        f"{MAX_BADGE}+" if count > MAX_BADGE else str(count),
    )


def _nonce(request: Any, context: template.Context) -> SafeString:
    """The attribute with the nonce of the page's content security policy, if there is one."""
    # django-csp's, and Django's from 6.0 on. Both are made when they are read as text, and false before.
    nonce = getattr(request, "csp_nonce", None)
    if nonce is None:
        nonce = context.get("csp_nonce")
    if nonce is None:
        nonce = getattr(request, "_csp_nonce", None)
    return SafeString("") if nonce is None else format_html(' nonce="{}"', str(nonce))
