"""The calls of messages, notifications and publishing, as in docs/protocol.md §3. errors.py answers errors.

Every view is synchronous, and none runs in a transaction: what it returns has been committed.
"""

from django.http import HttpRequest
from ninja import Body, Path, Query, Router, Status

from messaging import audience, inboxes, names, notifications, schemas, users
from messaging.contacts import presence_seen_by
from messaging.exceptions import NotFound, SelfMessage, UnknownUser
from messaging.models import Message, Notification

from . import queries, requests
from .doors import behind
from .errors import answers
from .lookups import find_user, may_write, page, user_known_to
from .publishing import publish as publish_items
from .security import PublishToken, SignedIn

messages = Router(tags=["users and messages"])
inbox = Router(tags=["notifications"])
publishing = Router(tags=["publishing"], auth=PublishToken())


@messages.get("/users", response=answers({200: schemas.Users}))
@behind("users")
def list_users(request: SignedIn, query: Query[queries.UserPage]) -> schemas.Users:
    """List the users who can be sent a message."""
    rows = audience.may_write(request.user, users.active().exclude(pk=request.user.pk))
    if query.search:
        rows = names.search(rows, query.search)
    found, following = page(rows, query, name_on_wire=names.expression())
    names.put(found, pk="name_on_wire")
    left_out = users.inactive([row["pk"] for row in found])
    items = [
        schemas.User(id=row["pk"], username=row["name_on_wire"] or "")
        for row in found
        if row["pk"] not in left_out
    ]
    return schemas.Users(items=items, next=following)


@messages.post("/messages", response=answers({201: schemas.Message}, 404))
@behind("messages")
def send_message(request: SignedIn, data: requests.NewMessage) -> Status[schemas.Message]:
    """Send a message. Its receiver is notified."""
    sender = request.user
    receiver = find_user(
        users.active(),
        data.name,
        data.key,
        # Others are answered as for a name that no user has.
        lambda other: users.is_active(other) and (other.pk == sender.pk or may_write(sender, other)),
    )
    if receiver is None:
        raise UnknownUser
    if receiver.pk == request.user.pk:
        raise SelfMessage
    message = Message.objects.create(sender=request.user, receiver=receiver, content=data.content)
    return Status(201, message_shape(message))


@messages.get("/messages", response=answers({200: schemas.Messages}, 404))
def list_messages(request: SignedIn, query: Query[queries.MessagePage]) -> schemas.Messages:
    """List the messages sent and received, or the conversation with one user."""
    rows = Message.objects.visible_to(request.user)
    if query.partner is not None or query.partner_id is not None:
        partner = user_known_to(request.user, query.partner, users.key_of(query.partner_id))
        if query.partner_id is not None and users.key_of(query.partner_id) != partner.pk:
            raise UnknownUser
        rows = rows.between(request.user, partner)
    shown = {f"{side}_name": names.expression(f"{side}__") for side in ("sender", "receiver")}
    columns = ("id", "sender_id", "receiver_id", "content", "timestamp", "is_read")
    found, following = page(rows, query, *columns, **shown)
    names.put(found, sender_id="sender_name", receiver_id="receiver_name")
    items = [
        schemas.Message(
            id=row["id"],
            sender=schemas.User(id=row["sender_id"], username=row["sender_name"] or ""),
            receiver=schemas.User(id=row["receiver_id"], username=row["receiver_name"] or ""),
            content=row["content"],
            timestamp=row["timestamp"],
            is_read=row["is_read"],
        )
        for row in found
    ]
    return schemas.Messages(items=items, next=following)


@messages.post("/messages/{message_id}/read", response=answers({200: schemas.Message}, 404))
def read_message(request: SignedIn, message_id: Path[requests.AnyId]) -> schemas.Message:
    """Mark a received message read. Its sender is notified, once."""
    received = Message.objects.filter(pk=message_id, receiver=request.user, is_withheld=False)
    message = received.select_related("sender", "receiver").first()
    if message is None:
        raise NotFound
    if not message.is_read:
        message.is_read = True
        message.save(update_fields=["is_read"])
    return message_shape(message)


@messages.get("/presence", response=answers({200: schemas.Presences}))
def list_presence(request: SignedIn) -> schemas.Presences:
    """Return the presence of the user's contacts: those with whom they have exchanged a message."""
    seen = presence_seen_by([request.user.pk])[request.user.pk]
    return schemas.Presences(items=sorted(seen, key=lambda presence: presence.user.username))


@inbox.get("/notifications", response=answers({200: schemas.Notifications}))
def list_notifications(request: SignedIn, query: Query[queries.NotificationPage]) -> schemas.Notifications:
    """List the user's notifications, with the revision from which a socket continues."""
    # The inbox first: were the rows older than the revision, a change in between would never reach the client.
    state = inboxes.state(request.user.pk)
    rows = Notification.objects.presentable().filter(user=request.user)
    if query.unread:
        rows = rows.filter(is_read=False)
    if query.notification_type is not None:
        rows = rows.filter(notification_type=query.notification_type)
    if query.group is not None:
        rows = rows.filter(group_key=query.group)
    columns = schemas.NOTIFICATION_COLUMNS
    found, following = page(rows, query, *columns, actor_username=names.expression("actor__"))
    names.put(found, actor_id="actor_username")
    return schemas.Notifications(
        items=[schemas.notification(row) for row in found],
        next=following,
        epoch=state.epoch,
        revision=state.revision,
        unread_count=state.unread_count,
    )


@inbox.get("/notifications/{notification_id}/members", response=answers({200: schemas.Members}, 404))
def list_members(
    request: SignedIn, notification_id: Path[requests.AnyId], query: Query[queries.Page]
) -> schemas.Members:
    """List what a notification of a group stands for, itself included, each as it was before they were grouped."""
    shown = Notification.objects.presentable().filter(user=request.user, pk=notification_id)
    marks = list(shown.values_list("is_read", flat=True))
    if not marks:
        raise NotFound
    rows = inboxes.members(request.user.pk, notification_id, before=query.before, limit=query.limit + 1)
    columns = (*schemas.NOTIFICATION_COLUMNS, "own_title")
    found, following = page(rows, query, *columns, actor_username=names.expression("actor__"))
    names.put(found, actor_id="actor_username")
    for row in found:
        row |= {"title": row["own_title"] or row["title"], "group_count": 1, "is_read": marks[0]}
    return schemas.Members(items=[schemas.notification(row) for row in found], next=following)


MARKED = answers({200: schemas.Marked})


@inbox.post("/notifications/read", response=MARKED)
def mark_read(request: SignedIn, data: requests.ChosenOrAll) -> schemas.Marked:
    """Mark notifications read, some or all, on every device. Ids that aren't the user's are ignored."""
    return marked(request, notifications.mark_read(request.user, data.chosen))


@inbox.post("/notifications/unread", response=MARKED)
def mark_unread(request: SignedIn, data: requests.Chosen) -> schemas.Marked:
    """Mark notifications unread, on every device. Ids that aren't the user's are ignored."""
    return marked(request, notifications.mark_unread(request.user, data.ids))


@inbox.delete("/notifications/{notification_id}", response=answers({204: None}, 404))
def remove(request: SignedIn, notification_id: Path[requests.AnyId]) -> Status[None]:
    """Remove a notification from every device."""
    if not notifications.remove(request.user, [notification_id]):
        raise NotFound
    inboxes.state(request.user.pk)
    return Status(204, None)


@publishing.post(
    "/publish",
    response={202: schemas.Published, 422: schemas.NothingPublished | schemas.Problem},
)
def publish(
    request: HttpRequest, data: Body[requests.OneOrMany], query: Query[queries.PublishOptions]
) -> Status[schemas.Published]:
    """Notify users from another program: one item, or a list of up to 500 in at most 2.5 MB, bare or as `items`.

    An item for an unknown user, of an unknown type, or with an invalid text or url is reported with its index, and the
    others are published; with `atomic` none is then: 422. With `?strict=true` it is 422, too, if there were no others:
    for programs that look at the status alone, as `curl -f` does. An item whose `idempotency_key` this token has used
    for this user before is a duplicate, and is ignored. Needs an API token with the publish right.
    """
    several = [data] if isinstance(data, requests.NewNotification) else data
    items, atomic = (several, False) if isinstance(several, list) else (several.items, several.atomic)
    outcome = publish_items(request.api_token, items, atomic=atomic, strict=query.strict)  # type: ignore[attr-defined]
    published = schemas.Published(
        created=outcome.created, duplicates=outcome.duplicates, errors=outcome.errors
    )
    return Status(202, published)


def message_shape(message: Message) -> schemas.Message:
    return schemas.Message(
        id=message.pk,
        sender=schemas.User(id=message.sender_id, username=names.of(message.sender)),
        receiver=schemas.User(id=message.receiver_id, username=names.of(message.receiver)),
        content=message.content,
        timestamp=message.timestamp,
        is_read=message.is_read,
    )


def marked(request: SignedIn, ids: list[int]) -> schemas.Marked:
    state = inboxes.state(request.user.pk, including=ids)
    return schemas.Marked(revision=state.revision, unread_count=state.unread_count, ids=ids)
