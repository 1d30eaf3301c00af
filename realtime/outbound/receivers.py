"""Domain signals to the relay: which envelope goes to which group. The only module that gives the relay work."""

import logging
import time
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from messaging import events, schemas, sessions, signals, user_signals, users
from messaging.events import View
from messaging.models import ApiToken
from messaging.notifications import Revision
from realtime import counters, protocol, request_id
from realtime.conf import conf

from .announcements import announcements
from .envelopes import (
    AnnouncementEnvelope,
    CloseEnvelope,
    DeletedEnvelope,
    Envelope,
    GroupMessage,
    PresenceEnvelope,
    RecheckEnvelope,
    RevisionEnvelope,
    ViewsEnvelope,
)
from .relay import relay

logger = logging.getLogger(__name__)

# Of a broadcast: what may be queued when its next batch begins, and how long that is waited for. So another user's push
# waits behind a batch at most, and the queue never drops any of it.
QUEUED_MESSAGES = 20
ROOM_SECONDS = 1.0

# When notifications of these users were committed that wait for a revision, and by which request: for the metric of the
# delivery's time, and for the log.
_committed: dict[Any, tuple[float, str | None]] = {}
MAX_COMMITTED = 10_000


def flush(seconds: float = 2.0) -> bool:
    """Wait until all work given to the relay so far is on the channel layer. Returns whether that was so in time."""
    return relay.flush(seconds)


def relay_pending(sender: Any, *, user_ids: set[Any], **kwargs: Any) -> None:
    """Notifications were committed without a revision: the relay's thread assigns it."""
    if conf.relay:
        committed = time.time(), request_id.current()
        if len(_committed) > MAX_COMMITTED:
            # Of users whose rows another process has numbered.
            _committed.clear()
        for user_id in user_ids:
            _committed.setdefault(user_id, committed)
        relay.assign(user_ids)


def pace_broadcast(sender: Any, **kwargs: Any) -> None:
    """A broadcast goes no faster than its messages leave."""
    if conf.relay:
        relay.wait_for_room(QUEUED_MESSAGES, ROOM_SECONDS)


def relay_revisions(sender: Any, *, revisions: list[Revision], **kwargs: Any) -> None:
    """Revisions were assigned, by the relay's own thread or by any other: they leave by the relay, in order."""
    counters.revisions.inc(len(revisions))
    counters.stamped_rows.inc(
        sum(
            len(assigned.added) + len(assigned.read) + len(assigned.unread) + len(assigned.removed)
            for assigned in revisions
        )
    )
    if conf.relay:
        if logger.isEnabledFor(logging.DEBUG):
            for assigned in revisions:
                _log_assigned(assigned)
        relay.publish(encoded(revisions))


def encoded(revisions: list[Revision]) -> list[GroupMessage]:
    """Encode revisions for the layer, each in one message."""
    alone, announced = announcements(revisions)
    messages = [timed(envelope, [envelope.user]) for envelope in map(revision_envelope, alone)]
    return messages + [timed(envelope, envelope.users) for envelope in announced]


def timed(envelope: RevisionEnvelope | AnnouncementEnvelope, user_ids: Iterable[Any]) -> GroupMessage:
    """Encode it with time and request of the commit, beside its fields: a hub of another version takes it, too."""
    encoded = envelope.encode()
    now = time.time(), request_id.current()
    # The newest: a time that is left of a user whose rows another process has numbered may be hours old.
    committed, request = max((_committed.pop(user_id, now) for user_id in user_ids), key=itemgetter(0))
    encoded.message["committed"] = committed
    if request is not None:
        encoded.message["request"] = request
    return encoded


def _log_assigned(assigned: Revision) -> None:
    added = [notification.id for notification in assigned.added]
    changed = [*assigned.read, *assigned.unread, *assigned.removed]
    _, request = _committed.get(assigned.user_id, (None, request_id.current()))
    with request_id.bound(request):
        logger.debug(
            "revision assigned: user=%(user)s revision=%(revision)s notifications=%(notifications)s",
            {
                "user": assigned.user_id,
                "revision": assigned.revision,
                "notifications": [*added, *changed],
            },
        )


def _push(envelopes: Iterable[Envelope]) -> None:
    """Publish what the sweeps would bring, too. Without REALTIME_RELAY they have to."""
    if conf.relay:
        relay.publish(envelope.encode() for envelope in envelopes)


def revision_envelope(assigned: Revision) -> RevisionEnvelope:
    """Encode a revision's live frame, once for all sockets and processes."""
    frame = protocol.InboxFrame.model_construct(
        revision=assigned.revision,
        unread_count=assigned.unread_count,
        replayed=False,
        added=assigned.added,
        read=assigned.read,
        unread=assigned.unread,
        removed=assigned.removed,
    )
    return RevisionEnvelope(assigned.user_id, assigned.revision, assigned.unread_count, frame.encode())


def _keys(given: Iterable[Any]) -> list[Any]:
    # Django lets a caller write Message(sender_id="1").
    return users.as_keys(given)


def relay_presence(sender: Any, *, users: list[Any], **kwargs: Any) -> None:
    _push([PresenceEnvelope(_keys(users))])


def relay_views(sender: Any, *, views: list[View], **kwargs: Any) -> None:
    _push([ViewsEnvelope([_keys(view) for view in views])])


def relay_deleted(sender: Any, *, user: schemas.User, versions: dict[Any, int], **kwargs: Any) -> None:
    views = [[version, viewer] for viewer, version in versions.items()]
    _push([DeletedEnvelope(user.id, user.username, views)])


def recheck(user_id: Any) -> None:
    """Have the login of every socket of this user revalidated, in every process."""
    _push(RecheckEnvelope(key) for key in _keys([user_id]))


def close_connection(user_id: Any, connection_id: str, code: int) -> None:
    """Have a socket closed, in whichever process it is. No sweep would do it: also without REALTIME_RELAY."""
    # A plain int: `decode` refuses the CloseCode that an in-memory layer would hand over as it is.
    relay.publish([CloseEnvelope(user_id, connection_id, int(code)).encode()])


def recheck_signed_out(sender: Any, *, instance: Any, **kwargs: Any) -> None:
    """A login's session is gone. (user_logged_out comes before that, and so too early for a recheck.)"""
    user_id = users.key_of(instance.get_decoded().get(SESSION_KEY))
    if user_id is not None:
        transaction.on_commit(lambda: recheck(user_id), robust=True)


def recheck_ended(sender: Any, *, users: list[Any], **kwargs: Any) -> None:
    """Logins of these users have ended, whichever session engine there is."""
    for user_id in users:
        recheck(user_id)


def recheck_changed(sender: Any, *, instance: Any, created: bool, raw: bool = False, **kwargs: Any) -> None:
    """A password or `is_active` may have changed."""
    # The row of a child model is also new when a user becomes one.
    is_new = created and sender._meta.concrete_model is users.concrete_model()
    if not is_new and not raw and kwargs.get("update_fields") != {"last_login"}:
        user_id = users.id_of(instance)
        transaction.on_commit(lambda: recheck(user_id), robust=True)


def recheck_token(sender: Any, *, instance: ApiToken, **kwargs: Any) -> None:
    """An API token may have been revoked."""
    user_id = instance.user_id
    if user_id is not None:
        transaction.on_commit(lambda: recheck(user_id), robust=True)


def recheck_deleted(sender: Any, *, instance: Any, **kwargs: Any) -> None:
    user_id = users.id_of(instance)
    transaction.on_commit(lambda: recheck(user_id), robust=True)


def connect() -> None:
    """Connect every receiver, once."""
    receivers: list[tuple[Any, Callable[..., None], Any]] = [
        (signals.notifications_pending, relay_pending, None),
        (signals.revisions_assigned, relay_revisions, None),
        (events.batch_committed, pace_broadcast, None),
        (signals.presence_changed, relay_presence, None),
        (signals.views_changed, relay_views, None),
        (events.logins_ended, recheck_ended, None),
        (events.shown_user_deleted, relay_deleted, None),
        (post_save, recheck_token, ApiToken),
        (post_delete, recheck_token, ApiToken),
    ]
    if (session_model := sessions.model()) is not None:
        receivers.append((post_delete, recheck_signed_out, session_model))
    for signal, receiver, sender in receivers:
        signal.connect(receiver, sender=sender, dispatch_uid=f"realtime.{receiver.__name__}")
    user_signals.connect_saving(post_save, recheck_changed, "realtime.recheck_changed")
    user_signals.connect_deletion(post_delete, recheck_deleted, "realtime.recheck_deleted")
