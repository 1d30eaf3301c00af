"""The HTTP calls of the domain, as in docs/protocol.md §3. security.py authenticates; errors.py answers errors.

Every view is synchronous, and none runs in a transaction: what it returns has been committed.
"""

from django.contrib.auth import authenticate, login, logout
from django.db import DatabaseError
from django.http import HttpRequest
from django.middleware.csrf import get_token
from ninja import Body, Path, Query, Router, Status

from messaging import (
    audience,
    inboxes,
    login_throttle,
    logins,
    names,
    notifications,
    profiles,
    schemas,
    sessions,
    tokens,
    users,
)
from messaging.contacts import presence_seen_by
from messaging.exceptions import BadCredentials, NotAllowed, NotFound, SelfMessage, UnknownUser
from messaging.models import Message, Notification
from messaging.orm.retry import is_row_gone

from . import requests
from .doors import behind
from .errors import answers
from .lookups import find_user, may_write, page, user_known_to
from .publishing import publish as publish_items
from .security import (
    PublishToken,
    SignedIn,
    csrf_header,
    identify,
    is_project_login,
    require_csrf_token,
    require_json,
    require_own_origin,
)
from .throttles import sign_outs

session = Router(tags=["session"], auth=None)
account = Router(tags=["account"])
messages = Router(tags=["users and messages"])
inbox = Router(tags=["notifications"])
publishing = Router(tags=["publishing"], auth=PublishToken())


@session.post("/session", response=answers({200: schemas.Session}, 401, 403, 429))
@behind("session")
def sign_in(request: HttpRequest, data: requests.Credentials) -> schemas.Session:
    """Sign in. Needs no CSRF token, since there is no session yet, but a browser's request must come from this site."""
    require_own_origin(request)
    require_json(request)
    # Under the rule here, too, so that it holds in a project without the backend of auth_backends.py.
    request.is_sign_in_attempt = True  # type: ignore[attr-defined]
    user = login_throttle.attempt(
        request,
        data.username,
        lambda: (
            authenticate(request, username=data.username, password=data.password)
            if logins.may_be_login_name(data.username)
            else None
        ),
    )
    if user is None:
        raise BadCredentials
    try:
        login(request, user)
    except DatabaseError as error:
        if not is_row_gone(error):
            raise
        # The account was deleted while its password was checked.
        logout(request)
        raise BadCredentials from error
    return session_of(request)


@session.get("/session", response=answers({200: schemas.Session}, 401))
def who_am_i(request: HttpRequest) -> schemas.Session:
    """Return who is signed in, or the API token's user, and set the CSRF cookie."""
    identify(request)
    return session_of(request)


@session.delete("/session", response=answers({204: None}, 401, 403))
def sign_out(request: HttpRequest) -> Status[None]:
    """End this login and close its sockets: the session, which needs the CSRF token; or the API token, by revoking it.

    A token that isn't a user's is no login, and the project's own login ends where it began: 403. Without a login there
    is nothing to end: 204.
    """
    if (token := identify(request)) is not None:
        if token.user is None:
            raise NotAllowed("This token isn't a user's: it is revoked in the admin.")
        tokens.revoke(token)
    elif is_project_login(request):
        raise NotAllowed("This login is the project's own: it ends where it began.")
    elif request.user.is_authenticated:
        require_csrf_token(request)
        logout(request)
    return Status(204, None)


@account.delete("/sessions", response=answers({204: None}, 409))
def sign_out_everywhere(request: SignedIn) -> Status[None]:
    """End all logins of the user: sessions on every device, and the API tokens that act in their name.

    All of the user's sockets are closed. 409, and nothing has ended, on a server that keeps sessions in cookies.
    """
    sign_outs.take(request.user.pk)
    sessions.end_all(request.user)
    logout(request)
    return Status(204, None)


@account.get("/profile", response=answers({200: schemas.Profile}))
def show_profile(request: SignedIn) -> schemas.Profile:
    """Return the user's own settings."""
    return profile_of(request)


@account.patch("/profile", response=answers({200: schemas.Profile}))
def change_profile(request: SignedIn, data: requests.ProfileChange) -> schemas.Profile:
    """Hide from contacts, or be shown again. Contacts see a hidden user as offline and never seen."""
    profiles.set_hidden(request.user, is_hidden=data.is_hidden)
    return profile_of(request)


@messages.get("/users", response=answers({200: schemas.Users}))
@behind("users")
def list_users(request: SignedIn, query: Query[requests.UserPage]) -> schemas.Users:
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
        # To anyone else it is as to a name that nobody has.
        lambda other: users.is_active(other) and (other.pk == sender.pk or may_write(sender, other)),
    )
    if receiver is None:
        raise UnknownUser
    if receiver.pk == request.user.pk:
        raise SelfMessage
    message = Message.objects.create(sender=request.user, receiver=receiver, content=data.content)
    return Status(201, message_shape(message))


@messages.get("/messages", response=answers({200: schemas.Messages}, 404))
def list_messages(request: SignedIn, query: Query[requests.MessagePage]) -> schemas.Messages:
    """List the messages sent and received, or the conversation with one user."""
    rows = Message.objects.visible_to(request.user)
    if query.partner is not None or query.partner_id is not None:
        partner = user_known_to(request.user, query.partner, users.key_of(query.partner_id))
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
def list_notifications(request: SignedIn, query: Query[requests.NotificationPage]) -> schemas.Notifications:
    """List the user's notifications, with the revision from which a socket continues."""
    # The inbox first: were the rows older than the revision, a change in between would never reach the client.
    state = inboxes.state(request.user.pk)
    rows = Notification.objects.filter(user=request.user)
    if query.unread:
        rows = rows.filter(is_read=False)
    if query.notification_type is not None:
        rows = rows.filter(notification_type=query.notification_type)
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
def publish(request: HttpRequest, data: Body[requests.OneOrMany]) -> Status[schemas.Published]:
    """Notify users from another program: one item, or a list of up to 500 in at most 2.5 MB, bare or as `items`.

    An item for an unknown user, of an unknown type, or with an invalid text or url is reported with its index, and the
    others are published; with `atomic` none is then: 422. An item whose `idempotency_key` this token has used for this
    user before is a duplicate, and is ignored. Needs an API token with the publish right.
    """
    several = [data] if isinstance(data, requests.NewNotification) else data
    items, atomic = (several, False) if isinstance(several, list) else (several.items, several.atomic)
    outcome = publish_items(request.api_token, items, atomic=atomic)  # type: ignore[attr-defined]
    published = schemas.Published(
        created=outcome.created, duplicates=outcome.duplicates, errors=outcome.errors
    )
    return Status(202, published)


def session_of(request: HttpRequest) -> schemas.Session:
    user = request.user
    known = schemas.User(id=user.pk, username=names.of(user)) if user.is_authenticated else None
    return schemas.Session(user=known, csrf_token=get_token(request), csrf_header=csrf_header())


def profile_of(request: SignedIn) -> schemas.Profile:
    user = schemas.User(id=request.user.pk, username=names.of(request.user))
    return schemas.Profile(user=user, is_hidden=profiles.is_hidden(request.user))


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
