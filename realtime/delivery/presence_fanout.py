"""What contacts see: each change of presence to the sockets of those who may know it.

A hint on the channel layer announces most changes at once, and the sweep finds in the database those that no hint did.
"""

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from messaging import audience, presence_changes, profiles, schemas
from messaging.contacts import Pair, pair_of, read_views, shifted, viewers_of
from messaging.events import View
from realtime.db_threads import in_thread
from realtime.outbound.envelopes import DeletedEnvelope

from .socket_presence import encoded
from .user_sockets import UserSockets

R = TypeVar("R")


class PresenceFanout:
    """A frame's `version` makes it harmless to send the same state twice.

    Reads run at once, in threads. Of two about one view, the one that began first is not sent after the other, which
    has read all that the first was to announce: versions don't say when DOORBELL_MAY_SEE was asked.
    """

    def __init__(self, users: Mapping[Any, UserSockets]) -> None:
        self._users = users
        # The horizon of the last sweep; None before the first.
        self._horizon: datetime | None = None
        # What was sent since the last sweep, which has no need to send it again: versions by user id, and the times of
        # the changes of pairs.
        self._sent: dict[Any, int] = {}
        self._sent_pairs: dict[Pair, datetime] = {}
        # Reads that have begun, and those that run.
        self._begun = self._running = 0
        # While others run: the latest read that was sent, by view.
        self._latest: dict[View, int] = {}

    async def announce(self, user_ids: Collection[Any]) -> None:
        """Send these users' presence to the sockets of their contacts."""
        if not user_ids or not self._users:
            return
        number, (seen, viewers, denied) = await self._read(_read, user_ids, self._users)
        for user_id, presence in seen.items():
            self._sent[user_id] = max(presence.version, self._sent.get(user_id, -1))
            for shift, contacts in viewers[user_id].items():
                latest = self._not_outdated(number, user_id, contacts)
                self._send(shifted(presence, shift), latest, denied.get(user_id, ()))

    async def announce_views(self, views: Iterable[View]) -> None:
        """Send each viewer's sockets, and no others, what that viewer sees of the other user."""
        asked = set(views)
        if not asked or not self._users:
            return
        number, (seen, changed_at, denied) = await self._read(_read_views, {pair_of(*view) for view in asked})
        self._sent_pairs |= changed_at
        for view in asked & seen.keys():
            latest = self._not_outdated(number, view.seen, [view.viewer])
            self._send(seen[view], latest, [view.viewer] if (view.viewer, view.seen) in denied else ())

    def announce_deleted(self, deleted: DeletedEnvelope) -> None:
        """Send those who saw a deleted user online that they are offline. No sweep could: nothing of them is stored."""
        user = schemas.User(id=deleted.user, username=deleted.username)
        for version, viewer in deleted.views:
            seen = schemas.Presence(user=user, is_online=False, last_seen=None, version=version)
            # Nothing is left of which the project's hook could say who may see it: those who were shown it.
            self._send(seen, [viewer], [viewer] if audience.is_limited() else ())

    async def sweep(self) -> None:
        """Send the changes since the last sweep that no hint announced. The first sweep only takes the time."""
        changes = await in_thread(_changed_since, self._horizon)
        versions, pairs = changes.versions, changes.pairs
        await self.announce(
            [user_id for user_id, version in versions.items() if version > self._sent.get(user_id, -1)]
        )
        await self.announce_views(
            view
            for pair, changed_at in pairs.items()
            if self._sent_pairs.get(pair) != changed_at and not self._users.keys().isdisjoint(pair)
            for view in (View(*pair), View(*reversed(pair)))
        )
        # Only now: what couldn't be sent is looked for again.
        self._horizon = changes.horizon
        self._sent = {
            user_id: max(version, self._sent.get(user_id, -1)) for user_id, version in versions.items()
        }
        self._sent_pairs = {pair: max(at, self._sent_pairs.get(pair, at)) for pair, at in pairs.items()}

    async def _read(self, read: Callable[..., R], *arguments: Any) -> tuple[int, R]:
        """Read in a thread. Returns the number of the read, too, in the order in which they began."""
        if not self._running:
            self._latest.clear()
        self._begun += 1
        number = self._begun
        self._running += 1
        try:
            return number, await in_thread(read, *arguments)
        finally:
            self._running -= 1

    def _not_outdated(self, number: int, seen: Any, viewers: Collection[Any]) -> Collection[Any]:
        """Return those of these viewers who weren't sent a later read of this user."""
        if self._latest:
            viewers = [viewer for viewer in viewers if self._latest.get(View(seen, viewer), 0) < number]
        if self._running:
            self._latest |= {View(seen, viewer): number for viewer in viewers}
        return viewers

    def _send(
        self, presence: schemas.Presence, contacts: Iterable[Any], denied: Collection[Any] = ()
    ) -> None:
        """`denied`: the contacts who may not see the user."""
        text = encoded(presence)
        # Once: reading a setting that isn't set costs as much as sending a frame.
        is_limited = audience.is_limited()
        for contact in contacts:
            user = self._users.get(contact)
            for socket in list(user.sockets) if user else []:
                shown = socket.presence
                if contact in denied:
                    frame = shown.deny(presence)
                else:
                    frame = shown.show(presence, text, is_limited=is_limited)
                if frame is not None:
                    socket.send(frame)


def _read(
    user_ids: Iterable[Any], connected: Container[Any]
) -> tuple[dict[Any, schemas.Presence], dict[Any, dict[int, list[Any]]], dict[Any, set[Any]]]:
    """Return the users' presence, which of the `connected` see it, and which of those the project denies it.

    Each by user id. Who connects later reads a newer list.
    """
    user_ids = list(user_ids)
    # In this order: a change after a block is then read with the block, and isn't sent to a blocked user.
    seen, viewers = profiles.presence(user_ids), viewers_of(user_ids)
    here = {
        user_id: {
            shift: [contact for contact in contacts if contact in connected]
            for shift, contacts in by_shift.items()
        }
        for user_id, by_shift in viewers.items()
    }
    denied: dict[Any, set[Any]] = {}
    for viewer, user_id in audience.denied(
        (viewer, user_id)
        for user_id, by_shift in here.items()
        for contacts in by_shift.values()
        for viewer in contacts
    ):
        denied.setdefault(user_id, set()).add(viewer)
    return seen, here, denied


def _read_views(
    pairs: Collection[Pair],
) -> tuple[dict[View, schemas.Presence], dict[Pair, datetime], set[audience.Sight]]:
    seen, changed_at = read_views(pairs)
    return seen, changed_at, audience.denied((view.viewer, view.seen) for view in seen)


class _Changes(NamedTuple):
    horizon: datetime
    # By user id.
    versions: dict[Any, int]
    # When what two contacts see of each other changed.
    pairs: dict[Pair, datetime]


def _changed_since(horizon: datetime | None) -> _Changes:
    # The horizon first: what is committed after it is found by the next sweep.
    following = presence_changes.horizon()
    if horizon is None:
        return _Changes(following, {}, {})
    return _Changes(
        following, presence_changes.changed_since(horizon), presence_changes.pairs_changed_since(horizon)
    )
