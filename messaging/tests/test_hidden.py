"""Hidden users appear offline and never seen to their contacts, without a trace of their coming and going."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from messaging import profiles
from messaging.contacts import meet
from messaging.models import Notification, UserProfile
from messaging.tests.api_client import refusal
from messaging.tests.presence import set_leaving, set_offline, set_online

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def contacts(ada, grace, announced):
    """Two users who see each other, both online."""
    meet(ada.pk, grace.pk)
    set_online([ada.pk, grace.pk])
    Notification.everything.all().hard_delete()
    announced.clear()


def seen(user):
    """What contacts see: online, last seen or None, version."""
    presence = profiles.presence([user.pk])[user.pk]
    return presence.is_online, presence.last_seen, presence.version


def status_of(announced):
    return [(name, carried) for name, carried in announced if name in ("presence_changed", "status_changed")]


def titles_of(user):
    return list(Notification.objects.filter(user=user).order_by("id").values_list("title", flat=True))


def test_hiding_while_online_looks_like_going(ada, grace, contacts, announced):
    _, _, version = seen(ada)
    assert profiles.set_hidden(ada, is_hidden=True)
    assert seen(ada) == (False, None, version + 1)
    assert seen(grace)[0]
    assert status_of(announced) == [("presence_changed", {"users": [ada.pk]})]
    # Connections decide on it, and they are still there.
    assert UserProfile.objects.get(user=ada).is_online
    assert profiles.presence([ada.pk], online_only=True) == {}


def test_being_shown_again_while_online_looks_like_coming(ada, grace, contacts, announced):
    profiles.set_hidden(ada, is_hidden=True)
    announced.clear()
    _, _, version = seen(ada)
    assert profiles.set_hidden(ada, is_hidden=False)
    assert seen(ada)[0]
    assert seen(ada)[1] is not None
    assert seen(ada)[2] == version + 1
    assert [name for name, _ in status_of(announced)] == ["presence_changed", "status_changed"]
    assert titles_of(grace) == ["ada is online"]


def test_being_shown_again_while_offline_is_no_coming(ada, grace, contacts, announced):
    profiles.set_hidden(ada, is_hidden=True)
    set_offline([ada.pk])
    announced.clear()
    assert profiles.set_hidden(ada, is_hidden=False)
    assert seen(ada)[0] is False
    assert [name for name, _ in status_of(announced)] == ["presence_changed"]


def test_hiding_twice_changes_nothing(ada, contacts, announced):
    profiles.set_hidden(ada, is_hidden=True)
    announced.clear()
    before = seen(ada)
    assert not profiles.set_hidden(ada, is_hidden=True)
    assert seen(ada) == before
    assert announced == []


def test_no_trace_shows_the_coming_and_going_of_a_hidden_user(ada, grace, contacts, announced):
    profiles.set_hidden(ada, is_hidden=True)
    announced.clear()
    before, changed_at = seen(ada), UserProfile.objects.get(user=ada).changed_at
    set_offline([ada.pk])
    set_online([ada.pk])
    profiles.set_many_manually([ada.pk], is_online=False)
    profile = UserProfile.objects.get(user=ada)
    profile.is_online = True
    profile.save()
    # Not even in the version, which contacts can read.
    assert seen(ada) == before == (False, None, before[2])
    assert UserProfile.objects.get(user=ada).changed_at == changed_at
    assert UserProfile.objects.get(user=ada).is_online
    assert status_of(announced) == []
    assert titles_of(grace) == []


def test_last_seen_is_when_contacts_last_saw_the_user(ada, grace, contacts):
    before = UserProfile.objects.annotate(now=Now()).get(user=ada).now
    profiles.set_hidden(ada, is_hidden=True)
    hidden = UserProfile.objects.get(user=ada).last_seen
    assert hidden is not None
    assert before - timedelta(milliseconds=5) <= hidden
    set_offline([ada.pk])
    set_online([ada.pk])
    profiles.set_many_manually([ada.pk], is_online=False)
    profiles.set_hidden(ada, is_hidden=False)
    assert seen(ada)[1] == hidden


def test_of_several_users_only_those_not_hidden_are_announced(ada, grace, linus, contacts, announced):
    profiles.set_hidden(linus, is_hidden=True)
    set_offline([ada.pk, linus.pk])
    announced.clear()
    set_online([ada.pk, linus.pk])
    assert status_of(announced) == [
        ("presence_changed", {"users": [ada.pk]}),
        ("status_changed", {"online": [ada.pk], "offline": []}),
    ]


def test_a_hidden_user_still_gets_the_status_of_others(ada, grace, contacts):
    profiles.set_hidden(ada, is_hidden=True)
    set_offline([grace.pk])
    assert titles_of(ada) == ["grace is offline"]


@pytest.mark.parametrize("fields", [None, ["is_hidden"]])
def test_a_hidden_user_is_not_shown_by_a_stale_save(ada, fields):
    profiles.set_hidden(ada, is_hidden=True)
    profile = UserProfile.objects.get(user=ada)
    profiles.set_hidden(ada, is_hidden=False)
    profile.refresh_from_db(fields=fields)
    profiles.set_hidden(ada, is_hidden=True)
    profile.save()
    assert profiles.settings_of(ada)["is_hidden"]


def test_a_manual_change_survives_a_refresh_of_other_fields(ada):
    profile = UserProfile.objects.get(user=ada)
    profile.is_hidden = True
    profile.refresh_from_db(fields=["is_online"])
    profile.save()
    assert profiles.settings_of(ada)["is_hidden"]


def test_a_manual_save_hides_and_shows(ada, contacts, announced):
    profile = UserProfile.objects.get(user=ada)
    profile.is_hidden = True
    profile.save()
    assert seen(ada)[:2] == (False, None)
    assert [name for name, _ in status_of(announced)] == ["presence_changed"]
    profile.is_hidden = False
    profile.save(update_fields=["is_hidden"])
    assert seen(ada)[0]


def test_a_stale_save_of_another_field_does_not_unhide(ada, contacts):
    stale = UserProfile.objects.get(user=ada)
    profiles.set_hidden(ada, is_hidden=True)
    stale.is_online = False
    stale.save()
    assert UserProfile.objects.get(user=ada).is_hidden


def test_last_seen_is_the_time_of_going_offline(ada, contacts):
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    UserProfile.objects.filter(user=ada).update(last_seen=long_ago)
    before = UserProfile.objects.annotate(now=Now()).get(user=ada).now
    set_offline([ada.pk])
    after = UserProfile.objects.annotate(now=Now()).get(user=ada).now
    assert before - timedelta(milliseconds=5) <= seen(ada)[1] <= after + timedelta(milliseconds=5)
    set_leaving([ada.pk], 5)
    assert seen(ada)[1] <= after + timedelta(milliseconds=5)


# --- Over HTTP and in the admin ----------------------------------------------------------------------------------


def test_the_switch_is_in_the_api(ada, grace, contacts, as_user):
    call, other = as_user(ada), as_user(grace)
    me = {"id": ada.pk, "username": "ada"}
    assert call.get("profile") == {"user": me, "is_hidden": False, "language": "", "timezone": ""}
    [shown] = other.get("presence")["items"]
    assert shown["is_online"]
    response = call("PATCH", "profile", {"is_hidden": True})
    assert (response.status_code, response.json()) == (
        200,
        {"user": me, "is_hidden": True, "language": "", "timezone": ""},
    )
    assert call.get("profile")["is_hidden"]
    assert not other.get("profile")["is_hidden"]
    expected = {"user": me, "is_online": False, "last_seen": None, "version": shown["version"] + 1}
    assert other.get("presence")["items"] == [expected]
    assert call("PATCH", "profile", {"is_hidden": False}).json()["is_hidden"] is False
    assert other.get("presence")["items"][0]["is_online"]


@pytest.mark.parametrize(
    "body", [{}, [], {"is_hidden": None}, {"is_hidden": "true"}, {"is_hidden": 1}, {"hidden": True}, True]
)
def test_a_malformed_change_is_refused(ada, as_user, body):
    call = as_user(ada)
    assert refusal(call("PATCH", "profile", body)) == (422, "invalid")
    assert not call.get("profile")["is_hidden"]


def test_the_profile_needs_a_login_and_its_change_the_csrf_token(ada, as_user):
    for method in ("GET", "PATCH"):
        answer = Client().generic(method, "/api/v1/profile", b"{}", content_type="application/json")
        assert refusal(answer) == (401, "not_signed_in")
    call = as_user(ada)
    call.token = ""
    assert refusal(call("PATCH", "profile", {"is_hidden": True})) == (403, "csrf_failed")


def test_the_switch_is_in_the_admin(ada, grace, contacts, client):
    client.force_login(User.objects.create_superuser("root"))
    profile = UserProfile.objects.get(user=ada)
    address = f"/admin/messaging/userprofile/{profile.pk}/change/"
    assert b"is_hidden" in client.get(address).content
    client.post(address, {"is_online": "on", "is_hidden": "on"})
    assert seen(ada)[:2] == (False, None)
    assert titles_of(grace) == []
    client.post(address, {"is_online": "on"})
    assert seen(ada)[0]
    assert titles_of(grace) == ["ada is online"]
