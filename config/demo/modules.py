"""The modules of the page, which preloads them: otherwise each level of imports would wait for the one before.

A test compares them with the imports.
"""

from django.conf import settings

# What demo/demo.js imports, directly and further on: the sign-in needs it.
WELCOME = (
    "client/http.js",
    "client/protocol.js",
    "demo/dom.js",
    "elements/element.js",
)
# demo/stage.js, which is loaded while the welcome is read, and what it needs beyond.
STAGE = (
    "bell/bell.js",
    "bell/define.js",
    "bell/desktop.js",
    "bell/format.js",
    "bell/list.js",
    "client/backoff.js",
    "client/choose-stream.js",
    "client/client.js",
    "client/clock.js",
    "client/cursor.js",
    "client/inbox.js",
    "client/page-lifecycle.js",
    "client/pages.js",
    "client/presence.js",
    "client/retry.js",
    "client/socket.js",
    "client/stream.js",
    "client/tabs/leader-election.js",
    "client/tabs/leader-outbox.js",
    "client/tabs/shared-stream.js",
    "client/tabs/tab-visibility.js",
    "demo/audit.js",
    "demo/blocking.js",
    "demo/connection.js",
    "demo/console.js",
    "demo/conversation.js",
    "demo/faults.js",
    "demo/faulty-network.js",
    "demo/format.js",
    "demo/full-names.js",
    "demo/hearts.js",
    "demo/hiding.js",
    "demo/lab.js",
    "demo/language-switch.js",
    "demo/language.js",
    "demo/people.js",
    "demo/promises.js",
    "demo/seat.js",
    "demo/stage.js",
    "demo/unread.js",
    "demo/words/en.js",
    "elements/actions.js",
    "elements/attach.js",
    "elements/icons.js",
    "elements/initials.js",
    "elements/labels.js",
    "elements/own-content.js",
    "elements/relative-time.js",
    "elements/safe-url.js",
    "elements/status.js",
    "elements/upgrade-property.js",
    "labels/en.js",
    "toast/announcer.js",
    "toast/define.js",
    "toast/follow.js",
    "toast/stack.js",
    "toast/toast.js",
)


def words_of(language: str) -> list[str]:
    """Return the modules with the words of a language beside English, of the seats and of the elements."""
    found = [f"{folder}/{language}.js" for folder in ("demo/words", "labels")]
    return [name for name in found if name not in STAGE and (settings.BASE_DIR / "static" / name).exists()]
