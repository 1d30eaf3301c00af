"""The domain without its listeners: no delivery, so that each test assigns revisions itself."""

import functools

import pytest
from django.contrib.auth.models import Permission, User

from conftest import PASSWORD
from messaging import events, notifications, storing
from messaging.api.throttles import api_calls
from messaging.events import (
    batch_committed,
    notifications_pending,
    presence_changed,
    revisions_assigned,
    status_changed,
    views_changed,
)
from messaging.login_throttle import sign_ins
from messaging.tests.admin_client import AdminClient
from messaging.tests.api_client import ApiClient
from messaging.tests.transactions import held_open


@pytest.fixture(autouse=True)
def the_domain_alone(monkeypatch):
    for signal in (
        batch_committed,
        notifications_pending,
        revisions_assigned,
        presence_changed,
        status_changed,
        views_changed,
    ):
        ours = [entry for entry in signal.receivers if str(entry[0][0]).startswith("messaging.")]
        monkeypatch.setattr(signal, "receivers", ours)


@pytest.fixture(autouse=True)
def unnumbered(request, monkeypatch):
    """`notify` leaves its rows pending, as in a transaction, except in tests with the fixture `numbered`."""
    if "numbered" not in request.fixturenames:
        for insertion in ("insert_numbered", "insert_same_numbered"):
            monkeypatch.setattr(storing, insertion, lambda *args, **kwargs: None)


@pytest.fixture
def numbered():
    """`notify` numbers its rows at once where it can."""


@pytest.fixture(autouse=True)
def fresh_sign_ins():
    sign_ins.clear()


@pytest.fixture
def announced():
    """Everything that the domain announces: a list of (signal's name, what it carries)."""
    events_sent = []
    for name in (
        "notifications_pending",
        "revisions_assigned",
        "presence_changed",
        "status_changed",
        "views_changed",
    ):

        def listen(sender, signal, name=name, **carried):
            events_sent.append((name, carried))

        getattr(events, name).connect(listen, weak=False)
    return events_sent


@pytest.fixture
def assigned():
    """Assign one user's revisions and return them."""

    def assign(user):
        revisions = notifications.assign_revisions([user.pk])
        assert all(revision.user_id == user.pk for revision in revisions)
        return revisions

    return assign


@pytest.fixture
def held(threads):
    """held(function, undo=False): a context in which the function's transaction, on another thread, is open."""
    return functools.partial(held_open, threads)


@pytest.fixture
def as_user():
    """Sign in over HTTP: as_user(ada) is a client of the API with ada's session."""
    api_calls.clear()

    def sign_in(user):
        api = ApiClient()
        assert api.sign_in(user.username).status_code == 200
        return api

    return sign_in


@pytest.fixture
def root(db, cheap_passwords):
    return User.objects.create_superuser("root", "root@example.org", PASSWORD)


@pytest.fixture
def admin(root):
    return AdminClient(root)


@pytest.fixture
def staff(db, cheap_passwords):
    """A staff user with these permissions, in the admin: staff("view_message")."""

    def make(*codenames):
        user = User.objects.create_user("margaret", password=PASSWORD, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        return AdminClient(user)

    return make
