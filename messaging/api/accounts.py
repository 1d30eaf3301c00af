"""The calls of the user's own login and profile: signing in, signing out, hiding from contacts."""

from django.contrib.auth import authenticate, login, logout
from django.db import DatabaseError
from django.http import HttpRequest
from django.middleware.csrf import get_token
from ninja import Router, Status

from messaging import login_throttle, logins, names, profiles, schemas, sessions, tokens
from messaging.exceptions import BadCredentials, NotAllowed
from messaging.orm.retry import is_row_gone

from . import requests
from .doors import behind
from .errors import answers
from .security import (
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
    """Hide from contacts, or be shown again; set the language of notifications, and the time zone."""
    given = data.model_dump(include=data.model_fields_set)
    if "is_hidden" in given:
        profiles.set_hidden(request.user, is_hidden=given.pop("is_hidden"))
    if given:
        profiles.set_preferences(request.user, **given)
    return profile_of(request)


def session_of(request: HttpRequest) -> schemas.Session:
    user = request.user
    known = schemas.User(id=user.pk, username=names.of(user)) if user.is_authenticated else None
    return schemas.Session(user=known, csrf_token=get_token(request), csrf_header=csrf_header())


def profile_of(request: SignedIn) -> schemas.Profile:
    user = schemas.User(id=request.user.pk, username=names.of(request.user))
    return schemas.Profile(user=user, **profiles.settings_of(request.user))
