"""What one socket is sent of its user's contacts. Changes before its hello are held back until then."""

from collections.abc import Callable, Iterable
from typing import Any

from messaging import audience, schemas
from messaging.contacts import as_denied
from realtime import protocol


class SocketPresence:
    """A contact whom DOORBELL_MAY_SEE denies is sent as gone once, and only if the socket shows them online."""

    __slots__ = ("_has_begun", "_held", "_send", "_shown_online")

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send
        self._has_begun = False
        # By user id: the last change before the hello, or None if the user may not see the contact any more.
        self._held: dict[Any, schemas.Presence | None] = {}
        # Ids of the contacts whom it was last sent as online, where the project may take that sight away.
        self._shown_online: set[Any] = set()

    def forget_held(self) -> None:
        """The contacts online are about to be read, and what was held back with them."""
        self._held.clear()

    def begin(self, online: Iterable[schemas.Presence]) -> None:
        """Send the contacts online, as they were read, and then what was held back since."""
        held, self._held = self._held, {}
        shown = [presence for presence in online if held.get(presence.user.id, presence) is not None]
        self._send(protocol.PresenceStateFrame(online=shown).encode())
        is_limited = audience.is_limited()
        if is_limited:
            self._shown_online.update(presence.user.id for presence in shown)
        self._has_begun = True
        for presence in held.values():
            if presence is not None:
                self.show(presence, encoded(presence), is_limited=is_limited)

    def show(self, presence: schemas.Presence, text: str, *, is_limited: bool) -> None:
        """Send a change. `text`: its frame. `is_limited`: whether DOORBELL_MAY_SEE is set."""
        if not self._has_begun:
            self._held[presence.user.id] = presence
            return
        if is_limited and presence.is_online:
            self._shown_online.add(presence.user.id)
        elif is_limited:
            self._shown_online.discard(presence.user.id)
        self._send(text)

    def deny(self, presence: schemas.Presence) -> None:
        """The user may not see this contact, or no more."""
        if not self._has_begun:
            self._held[presence.user.id] = None
        elif presence.user.id in self._shown_online:
            self._shown_online.discard(presence.user.id)
            self._send(encoded(as_denied(presence)))


def encoded(presence: schemas.Presence) -> str:
    return protocol.PresenceFrame(**dict(presence)).encode()
