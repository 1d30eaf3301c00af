"""What contacts see: each change of presence to the sockets of those who may know it.

A hint on the channel layer announces most changes at once, and the sweep finds in the database those that no hint did.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from messaging import presence_changes, profiles, schemas
from messaging.contacts import contacts_of_many
from realtime import protocol
from realtime.db_threads import in_thread

from .user_sockets import UserSockets

# The ids of two contacts, the lower one first.
Pair = tuple[int, int]


class PresenceFanout:
    """A frame's `version` makes it harmless to send the same state twice."""

    def __init__(self, users: Mapping[int, UserSockets]) -> None:
        self._users = users
        # The horizon of the last sweep; None before the first.
        self._horizon: datetime | None = None
        # The pairs that the last sweep introduced.
        self._introduced: set[Pair] = set()
        # The versions sent since the last sweep, which has no need to send them again.
        self._sent: dict[int, int] = {}

    async def announce(self, user_ids: Collection[int]) -> None:
        """Send these users' presence to the sockets of their contacts."""
        if not user_ids or not self._users:
            return
        seen, contacts = await in_thread(_read, user_ids)
        for user_id, presence in seen.items():
            self._sent[user_id] = max(presence.version, self._sent.get(user_id, -1))
            self._send(presence, contacts[user_id])

    async def sweep(self) -> None:
        """Send the changes since the last sweep that no hint announced. The first sweep only takes the time."""
        changes = await in_thread(_changed_since, self._horizon)
        versions = changes.versions
        missed = [user_id for user_id, version in versions.items() if version > self._sent.get(user_id, -1)]
        await self.announce(missed)
        await self._introduce(changes.pairs - self._introduced, announced=set(missed))
        # Only now: what couldn't be sent is looked for again.
        self._horizon, self._introduced = changes.horizon, changes.pairs
        self._sent = {
            user_id: max(version, self._sent.get(user_id, -1)) for user_id, version in versions.items()
        }

    async def _introduce(self, pairs: Collection[Pair], announced: Collection[int]) -> None:
        """Send new contacts each other's presence, unless all of that user's contacts have just been sent it."""
        ours = [pair for pair in pairs if not self._users.keys().isdisjoint(pair)]
        if ours:
            seen = await in_thread(profiles.presence, {user_id for pair in ours for user_id in pair})
            for low, high in ours:
                for user_id, contact in ((low, high), (high, low)):
                    if user_id in seen and user_id not in announced:
                        self._send(seen[user_id], [contact])

    def _send(self, presence: schemas.Presence, contacts: Iterable[int]) -> None:
        text = protocol.PresenceFrame(**dict(presence)).encode()
        for contact in contacts:
            user = self._users.get(contact)
            for socket in list(user.sockets) if user else []:
                socket.send_after_hello(text)


def _read(user_ids: Iterable[int]) -> tuple[dict[int, schemas.Presence], dict[int, list[int]]]:
    user_ids = list(user_ids)
    return profiles.presence(user_ids), contacts_of_many(user_ids)


class _Changes(NamedTuple):
    horizon: datetime
    # By user id.
    versions: dict[int, int]
    pairs: set[Pair]


def _changed_since(horizon: datetime | None) -> _Changes:
    # The horizon first: what is committed after it is found by the next sweep.
    following = presence_changes.horizon()
    if horizon is None:
        return _Changes(following, {}, set())
    changed, met = presence_changes.changed_since(horizon), presence_changes.met_since(horizon)
    return _Changes(following, changed, met)
