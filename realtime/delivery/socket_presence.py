"""What one socket is sent of its user's contacts. Changes before its hello are held back until then."""

from collections.abc import Iterable
from typing import Any

from messaging import audience, schemas
from messaging.contacts import as_denied
from realtime import protocol


class SocketPresence:
    """Returns the frames that the socket is to be sent: it has no reference to the socket, which would be a cycle.

    A contact whom DOORBELL_MAY_SEE denies is sent as gone once, and only if the socket shows them online.
    """

    __slots__ = ("_has_begun", "_held", "_shown_online")

    def __init__(self) -> None:
        self._has_begun = False
        # By user id: the latest change before the hello, or None if the user may not see the contact any more.
        self._held: dict[Any, schemas.Presence | None] = {}
        # Ids of the contacts whom it was last sent as online, where the project may take that sight away.
        self._shown_online: set[Any] = set()

    def forget_held(self) -> None:
        """The contacts online are about to be read, and what was held back with them."""
        self._held.clear()

    def begin(self, online: Iterable[schemas.Presence]) -> list[str]:
        """Return the frame of the contacts online, as they were read, and those of what was held back since."""
        held, self._held = self._held, {}
        shown = [presence for presence in online if held.get(presence.user.id, presence) is not None]
        versions = {presence.user.id: presence.version for presence in shown}
        # The contacts online may have been read after a change that is held back.
        later = [
            presence
            for presence in held.values()
            if presence is not None and presence.version > versions.get(presence.user.id, -1)
        ]
        self._has_begun = True
        if audience.is_limited():
            for presence in (*shown, *later):
                self._note(presence)
        return [protocol.PresenceStateFrame(online=shown).encode(), *map(encoded, later)]

    def show(self, presence: schemas.Presence, text: str, *, is_limited: bool) -> str | None:
        """Return `text`, the frame of this change, or hold it back. `is_limited`: whether DOORBELL_MAY_SEE is set."""
        if not self._has_begun:
            held = self._held.get(presence.user.id)
            # A deletion is announced without a read: a read of an earlier state may end after it.
            if held is None or held.version <= presence.version:
                self._held[presence.user.id] = presence
            return None
        if is_limited:
            self._note(presence)
        return text

    def deny(self, presence: schemas.Presence) -> str | None:
        """The user may not see this contact. Returns the frame that shows them offline, if one has to be sent."""
        if not self._has_begun:
            self._held[presence.user.id] = None
        elif presence.user.id in self._shown_online:
            self._shown_online.discard(presence.user.id)
            return encoded(as_denied(presence))
        return None

    def _note(self, presence: schemas.Presence) -> None:
        if presence.is_online:
            self._shown_online.add(presence.user.id)
        else:
            self._shown_online.discard(presence.user.id)


def encoded(presence: schemas.Presence) -> str:
    return protocol.PresenceFrame(**dict(presence)).encode()
