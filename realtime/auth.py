"""Authentication of sockets: the session cookie with an allowed Origin, or a ticket. Sessions are only read.

Channels' own middleware flushes a session that was signed with a fallback key: a socket must never sign a user out.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now
from django.http import HttpRequest, parse_cookie

from messaging import hook_logins, names, origins, schemas, users
from messaging.api.security import is_project_login
from messaging.models import ApiToken
from messaging.orm.querysets import delete_unlocked
from messaging.sessions import read_sessions

from .conf import conf
from .models import Ticket

TICKET_SECONDS = 30
# The prefix of an API token's login key. Session keys have no colon.
TOKEN_PREFIX = "token:"  # noqa: S105


class BadOrigin(Exception):
    """The Origin of the page that opened the socket isn't allowed. The message is the Origin."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user, and the key of the session or API token with which they signed in, or of the project's own login."""

    user: schemas.User
    key: str

    @property
    def user_id(self) -> Any:
        return users.key_from_wire(self.user.id)

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.key.encode()).hexdigest()


class Handshake(NamedTuple):
    """What a handshake is authenticated by. With a ticket, cookie and Origin are ignored."""

    scope: dict[str, Any]
    ticket: str | None = None


def authenticate(handshakes: Sequence[Handshake]) -> list[Login | Exception | None]:
    """Return the login behind each handshake: None if there is none, the error if it can't be said, or a BadOrigin.

    Two queries for all sessions together, if they are stored in the database. A ticket takes its own.
    """
    claims = [_claim(handshake) for handshake in handshakes]
    logins = _session_logins({claim for claim in claims if isinstance(claim, str)})
    return [logins.get(claim) if isinstance(claim, str) else claim for claim in claims]


def _claim(handshake: Handshake) -> str | Login | Exception | None:
    """Return the key of the session that is still to be read, or the answer."""
    try:
        if handshake.ticket is not None:
            return use_ticket(handshake.ticket)
        session_key = _session_key(handshake.scope)
        if session_key is not None:
            check_origin(handshake.scope)
        return session_key
    except Exception as error:
        return error


def _session_logins(keys: Collection[str]) -> dict[str, Login | Exception]:
    if not keys:
        return {}
    try:
        # Not valid_logins: a cookie may hold anything, also the login key of another user's API token.
        return {key: Login(user, key) for key, user in _valid_sessions(keys).items()}
    except Exception as error:
        if len(keys) == 1 or isinstance(error, (OperationalError, InterfaceError)):
            return dict.fromkeys(keys, error)
        # One that can't be read fails no other.
        return {key: answer for one in keys for key, answer in _session_logins([one]).items()}


def _headers(scope: dict[str, Any], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _session_key(scope: dict[str, Any]) -> str | None:
    for header in _headers(scope, b"cookie"):
        # Django's parser, which skips cookies that are malformed.
        key = parse_cookie(header).get(settings.SESSION_COOKIE_NAME)
        # No session has a key with NUL, and PostgreSQL rejects such text.
        if key and "\0" not in key:
            return key
    return None


def check_origin(scope: dict[str, Any]) -> None:
    """Require exactly one Origin, this server's own or one of REALTIME_ORIGINS. Raises BadOrigin."""
    given = _headers(scope, b"origin")
    if len(given) != 1 or not _is_allowed(given[0], scope):
        raise BadOrigin(", ".join(given) or "none")


def _is_allowed(given: str, scope: dict[str, Any]) -> bool:
    origin = origins.parsed(given)
    if origin is None or len(_headers(scope, b"host")) != 1:
        return False
    if origins.is_listed(given):
        return True
    # By Django's request, which applies ALLOWED_HOSTS and the settings that trust a proxy's headers.
    scheme = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "ws"), "http")
    # Without a Content-Type, which means nothing here: Django would parse it, for 300 ms if it is a long one.
    headers = [header for header in scope["headers"] if header[0] != b"content-type"]
    handshake = {"method": "GET", "path": "/", "headers": headers, "scheme": scheme}
    request = ASGIRequest(handshake | {"server": scope.get("server")}, BytesIO())
    try:
        return origin == origins.parsed(f"{request.scheme}://{request.get_host()}")
    except DisallowedHost:
        return False


def login_key(request: HttpRequest) -> str:
    """Return the key of a request's login: of its session or API token, or a new one for the project's own login."""
    if (token := getattr(request, "api_token", None)) is not None:
        return f"{TOKEN_PREFIX}{token.pk}"
    if is_project_login(request):
        # The socket is closed before that, at its maximum age.
        return hook_logins.begin(request.user, seconds=conf.max_age_seconds + TICKET_SECONDS)
    return request.session.session_key or ""


def valid_logins(keys: Collection[str]) -> dict[str, schemas.User]:
    """Return the users of those of these logins, of whatever kind, that are still valid."""
    tokens = {key for key in keys if key.startswith(TOKEN_PREFIX)}
    hooked = {key for key in keys if key.startswith(hook_logins.PREFIX)}
    valid = _valid_sessions(set(keys) - tokens - hooked)
    if tokens:
        valid |= _valid_tokens(tokens)
    if hooked:
        valid |= {key: _shape(user) for key, user in hook_logins.valid(hooked).items()}
    return valid


def _valid_tokens(keys: Collection[str]) -> dict[str, schemas.User]:
    rows = ApiToken.objects.filter(
        users.usable("user"),
        pk__in={key.removeprefix(TOKEN_PREFIX) for key in keys},
        revoked_at=None,
        user__isnull=False,
    )
    found = list(rows.values_list("pk", "user_id", names.column("user__")))
    left_out = users.inactive({user_id for _, user_id, _ in found})
    name_of = names.reader({user_id for _, user_id, _ in found})
    return {
        f"{TOKEN_PREFIX}{pk}": schemas.User(id=user_id, username=name_of(user_id, name))
        for pk, user_id, name in found
        if user_id not in left_out
    }


def _valid_sessions(session_keys: Collection[str]) -> dict[str, schemas.User]:
    """Return the users of those of these sessions that are still valid: not ended, not expired, password unchanged,
    user active. Two queries for any number of sessions, if they are stored in the database."""
    ids: dict[str, Any] = {}
    for key, data in read_sessions(session_keys).items():
        if data.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS and SESSION_KEY in data:
            ids[key] = (users.key_of(data[SESSION_KEY]), data.get(HASH_SESSION_KEY, ""))
    found = users.people().in_bulk({user_id for user_id, _ in ids.values() if user_id is not None})
    valid = {}
    for key, (user_id, session_hash) in ids.items():
        user = found.get(user_id)
        if user is not None and users.is_active(user) and _hash_matches(user, session_hash):
            valid[key] = _shape(user)
    return valid


def _shape(user: Any) -> schemas.User:
    return schemas.User(id=user.pk, username=names.of(user))


def _hash_matches(user: Any, session_hash: str) -> bool:
    hashes: Iterable[str] = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(hmac.compare_digest(session_hash, one) for one in hashes)


def issue_ticket(user: Any, login_key: str) -> str:
    """Create a ticket for a login, for one use within 30 seconds. Expired ones are deleted by the way."""
    ticket = secrets.token_urlsafe(32)
    delete_unlocked(Ticket.objects.filter(expires_at__lt=Now()))
    Ticket.objects.create(
        hash=_ticket_hash(ticket),
        user=user,
        session_key=login_key,
        expires_at=Now() + timedelta(seconds=TICKET_SECONDS),
    )
    return ticket


def use_ticket(ticket: str) -> Login | None:
    """Use up a ticket. Of two processes that try at once, only the one that deletes the row succeeds."""
    row = Ticket.objects.filter(hash=_ticket_hash(ticket), expires_at__gt=Now()).first()
    # (The deletion of an instance is one statement, of a queryset three.)
    if row is None or row.delete()[0] != 1:
        return None
    user = valid_logins([row.session_key]).get(row.session_key)
    return None if user is None else Login(user, row.session_key)


def _ticket_hash(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogateescape")).hexdigest()
