"""Domain signals to the relay: what is told, to which group, in which words."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from messaging import signals
from messaging.models import ApiToken
from messaging.notifications import Revision
from realtime import counters, protocol
from realtime.conf import conf

from .relay import relay

# The version of the envelope in which a hub gets things. A hub ignores what it doesn't know.
ENVELOPE = 1
PRESENCE_GROUP = "presence"


def user_group(user_id: int) -> str:
    """The group that a user's sockets share."""
    return f"user.{user_id}"


def envelope(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"doorbell.{kind}", "v": ENVELOPE, **fields}


def flush(seconds: float = 2.0) -> bool:
    """Wait until everything told so far is on the channel layer. Returns whether that was so in time."""
    return relay.flush(seconds)


def relay_touched(sender: Any, *, user_ids: set[int], **kwargs: Any) -> None:
    if conf.relay:
        relay.touch(user_ids)


def relay_revisions(sender: Any, *, revisions: list[Revision], **kwargs: Any) -> None:
    counters.revisions += len(revisions)
    counters.stamped_rows += sum(
        len(assigned.added) + len(assigned.read) + len(assigned.unread) + len(assigned.removed)
        for assigned in revisions
    )
    if conf.relay:
        relay.send(
            (
                user_group(assigned.user_id),
                envelope(
                    "inbox",
                    user=assigned.user_id,
                    revision=assigned.revision,
                    unread_count=assigned.unread_count,
                    frame=frame_of(assigned),
                ),
            )
            for assigned in revisions
        )


def frame_of(assigned: Revision) -> str:
    """Encode a revision, once for all sockets and processes."""
    return protocol.InboxFrame.model_construct(
        revision=assigned.revision,
        unread_count=assigned.unread_count,
        replayed=False,
        added=assigned.added,
        read=assigned.read,
        unread=assigned.unread,
        removed=assigned.removed,
    ).encode()


def relay_presence(sender: Any, *, users: list[int], **kwargs: Any) -> None:
    if conf.relay:
        relay.send([(PRESENCE_GROUP, envelope("presence", users=users))])


def recheck(user_id: int) -> None:
    """Have every socket of this user's looked at again, in every process: is its login still good?"""
    if conf.relay:
        relay.send([(user_group(user_id), envelope("recheck", user=user_id))])


def close_connection(user_id: int, connection_id: str, code: int) -> None:
    """Have a socket closed, in whichever process it is."""
    relay.send([(user_group(user_id), envelope("close", user=user_id, connection=connection_id, code=code))])


def recheck_signed_out(sender: Any, *, instance: Session, **kwargs: Any) -> None:
    """A login's session is gone. (user_logged_out comes before that, and so too early for a recheck.)"""
    user_id = instance.get_decoded().get(SESSION_KEY)
    if user_id is not None:
        transaction.on_commit(lambda: recheck(int(user_id)), robust=True)


def recheck_changed(sender: Any, *, instance: Any, created: bool, raw: bool = False, **kwargs: Any) -> None:
    """A password or `is_active` may have changed."""
    if not created and not raw and kwargs.get("update_fields") != {"last_login"}:
        transaction.on_commit(lambda: recheck(instance.pk), robust=True)


def recheck_token(sender: Any, *, instance: ApiToken, **kwargs: Any) -> None:
    """An API token may have been revoked."""
    user_id = instance.user_id
    if user_id is not None:
        transaction.on_commit(lambda: recheck(user_id), robust=True)


def recheck_deleted(sender: Any, *, instance: Any, **kwargs: Any) -> None:
    user_id = instance.pk
    transaction.on_commit(lambda: recheck(user_id), robust=True)


def connect() -> None:
    """Connect every receiver, once."""
    receivers: list[tuple[Any, Callable[..., None], Any]] = [
        (signals.notifications_pending, relay_touched, None),
        (signals.revisions_assigned, relay_revisions, None),
        (signals.presence_changed, relay_presence, None),
        (post_delete, recheck_signed_out, Session),
        (post_save, recheck_changed, get_user_model()),
        (post_delete, recheck_deleted, get_user_model()),
        (post_save, recheck_token, ApiToken),
        (post_delete, recheck_token, ApiToken),
    ]
    for signal, receiver, sender in receivers:
        signal.connect(receiver, sender=sender, dispatch_uid=f"realtime.{receiver.__name__}")
