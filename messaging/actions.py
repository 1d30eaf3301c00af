"""What a notification offers to do: up to two actions, declared by its type, and filled from its data when it is read.

Nothing of them is stored. One that the data can't fill is left out, so that rows of any age can be read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise

from . import texts

MAX_ACTIONS = 2
MAX_LABEL_LENGTH = 40
PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Before these an address may have no place: who wrote the data would choose the host.
HOST = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
SEPARATOR = re.compile(r"[/\\]")


@dataclass(frozen=True, kw_only=True)
class Action:
    """A link to `url`, or a POST to `post`, a path of this site's, by the user who reads the notification.

    `{order_id}` in either is filled from the notification's data, percent-encoded.
    """

    label: str | Promise
    url: str | None = None
    post: str | None = None


class Filled(NamedTuple):
    label: str
    url: str
    method: str


def check(actions: Any) -> None:
    """Raise TypeError or ValueError for actions that no notification could have."""
    if not isinstance(actions, (tuple, list)) or not all(isinstance(action, Action) for action in actions):
        raise TypeError(
            'the actions are a tuple of Action: actions=(Action(label="Pay", url="/pay/{order_id}"),)'
        )
    if len(actions) > MAX_ACTIONS:
        raise ValueError(f"there are at most {MAX_ACTIONS} actions, not {len(actions)}")
    for action in actions:
        _check_label(action.label)
        if (action.url is None) == (action.post is None):
            raise ValueError(f"the action {action.label!r} needs either url or post")
        _check_address(action)


def of(actions: tuple[Action, ...], data: Mapping[str, Any] | None, language: str) -> list[Filled]:
    """Return what can be offered with these data. `language`: the recipient's; empty for LANGUAGE_CODE."""
    offered = []
    for action in actions:
        address = _filled(action.post or action.url or "", data or {})
        if address is not None:
            method = "POST" if action.post else "GET"
            offered.append(Filled(_label(action.label, language), address, method))
    return offered


def _check_label(label: Any) -> None:
    if isinstance(label, Promise):
        # Its text depends on the language.
        return
    if not isinstance(label, str) or not label or len(label) > MAX_LABEL_LENGTH:
        raise ValueError(
            f"an action's label is a text of 1 to {MAX_LABEL_LENGTH} characters, not {label!r:.80}"
        )
    if fault := texts.fault_of(label):
        raise ValueError(f"the label {label!r} {fault}")
    if not texts.shows_something(label):
        raise ValueError(f"the label {label!r} shows nothing")


def _check_address(action: Action) -> None:
    template: Any = action.post if action.url is None else action.url
    example = PLACE.sub("0", template) if isinstance(template, str) else ""
    if "{" in example or "}" in example:
        raise ValueError(f"{template!r} has a brace that isn't part of a place like {{order_id}}")
    if "%(" in example:
        raise ValueError(f"{template!r} has %(…)s: in an address a place is written {{order_id}}")
    if not texts.SAFE_URL.fullmatch(example) or (action.url is None and not example.startswith("/")):
        raise ValueError(
            f"{template!r} isn't a path of this site (/…), which an action needs"
            + ("" if action.url is None else ", or an address that begins with http:// or https://")
        )
    if (host := HOST.match(template)) and "{" in host[0]:
        raise ValueError(f"{template!r} has a place in its host, which the data would choose")


def _filled(template: str, data: Mapping[str, Any]) -> str | None:
    """Return the address; None if a place has no value that is safe there."""
    address = ""
    end = 0
    for place in PLACE.finditer(template):
        value = data.get(place[1])
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            return None
        text = str(value)
        # Browsers and proxies resolve dots, also encoded ones: "/orders/../users" would be another page.
        if not text or {".", ".."} & set(SEPARATOR.split(text)):
            return None
        address += template[end : place.start()] + quote(text, safe="", errors="replace")
        end = place.end()
    address += template[end:]
    return address if texts.SAFE_URL.fullmatch(address) else None


def _label(label: str | Promise, language: str) -> str:
    if isinstance(label, str):
        return label
    with translation.override(language or settings.LANGUAGE_CODE):
        return texts.printable(str(label))[:MAX_LABEL_LENGTH]
