from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from messaging import contacts, presence_changes, profiles
from messaging.events import presence_changed
from messaging.models import Notification, UserProfile
from messaging.tests.presence import set_leaving, set_offline, set_online
from messaging.tests.transactions import Undo

pytestmark = pytest.mark.django_db(transaction=True)


def profile_of(user):
    return UserProfile.objects.get(user=user)


def about_now(moment):
    return abs(timezone.now() - moment) < timedelta(seconds=30)


# --- Locking -----------------------------------------------------------------------------------------------------


def test_profiles_are_locked_in_the_order_of_user_ids(ada, grace, linus):
    with transaction.atomic():
        locked = profiles.lock([linus.pk, ada.pk, grace.pk, ada.pk])
    assert [profile.user_id for profile in locked] == sorted([ada.pk, grace.pk, linus.pk])


def test_missing_profiles_are_created_and_deleted_users_left_out(ada):
    [old] = User.objects.bulk_create([User(username="old")])
    with transaction.atomic():
        locked = profiles.lock([old.pk, ada.pk, 2**31 - 1])
    assert [profile.user_id for profile in locked] == sorted([ada.pk, old.pk])
    assert profile_of(old).is_online is False


def test_the_same_missing_profile_is_made_once(threads):
    [old] = User.objects.bulk_create([User(username="old")])

    def lock():
        with transaction.atomic():
            assert len(profiles.lock([old.pk])) == 1

    threads.together(*[lock] * 4)
    assert UserProfile.objects.filter(user=old).count() == 1


# --- Coming and going ----------------------------------------------------------------------------------------------


def test_going_online_and_offline_is_stored_and_announced(ada, grace, announced):
    users = sorted([ada.pk, grace.pk])
    set_online(users[::-1])
    profile = profile_of(ada)
    assert (profile.is_online, profile.version, profile.offline_after) == (True, 1, None)
    assert about_now(profile.last_seen)
    assert about_now(profile.changed_at)
    assert announced == [
        ("presence_changed", {"users": users}),
        ("status_changed", {"online": users, "offline": []}),
    ]
    announced.clear()
    set_offline([ada.pk])
    assert (profile_of(ada).is_online, profile_of(ada).version) == (False, 2)
    assert profile_of(ada).last_seen >= profile.last_seen
    assert (profile_of(grace).is_online, profile_of(grace).version) == (True, 1)
    assert announced == [
        ("presence_changed", {"users": [ada.pk]}),
        ("status_changed", {"online": [], "offline": [ada.pk]}),
    ]


def test_applying_nothing_costs_nothing(ada, announced, django_assert_num_queries):
    with transaction.atomic():
        locked = profiles.lock([ada.pk])
        with django_assert_num_queries(0):
            assert profiles.apply_presence([], live=[ada.pk], leaving={ada.pk: 5.0}, overdue=[ada.pk]) == []
            assert profiles.apply_presence(locked, live=(), leaving={ada.pk: 5.0}) == []
    assert announced == []


@pytest.mark.parametrize(
    ("stored", "found", "result"),
    [
        ("offline", "live", "online"),
        ("offline", "leaving", "offline"),
        ("offline", "nothing", "offline"),
        ("online", "live", "online"),
        ("online", "live leaving", "online"),
        ("online", "leaving", "leaving 60"),
        ("online", "nothing", "online"),
        ("leaving 5", "live", "online"),
        ("leaving 5", "live leaving overdue", "online"),
        ("leaving 5", "leaving", "leaving 60"),
        ("leaving 5", "overdue", "offline"),
        ("leaving 5", "overdue leaving", "offline"),
        ("leaving 5", "nothing", "leaving 5"),
    ],
)
def test_online_leaving_and_offline(ada, announced, stored, found, result):
    """The whole table of `apply_presence`: each change of `is_online` is a version, and announced."""
    if stored != "offline":
        set_online([ada.pk])
    if stored.startswith("leaving"):
        set_leaving([ada.pk], 5)
    announced.clear()
    before = profile_of(ada)
    with transaction.atomic():
        offline = profiles.apply_presence(
            profiles.lock([ada.pk]),
            live=[ada.pk] if "live" in found else [],
            leaving={ada.pk: 60.0} if "leaving" in found else {},
            overdue=[ada.pk] if "overdue" in found else [],
        )
    after = profile_of(ada)
    assert after.is_online is (result != "offline")
    assert offline == ([] if result == "offline" == stored or after.is_online else [ada.pk])
    changed = after.is_online is not before.is_online
    assert after.version - before.version == changed
    assert [name for name, _ in announced] == ["presence_changed", "status_changed"] * changed
    if result.startswith("leaving"):
        seconds = int(result.split()[1])
        row = UserProfile.objects.annotate(left=F("offline_after") - Now()).get(user=ada)
        assert timedelta(seconds=seconds - 4) < row.left <= timedelta(seconds=seconds)
    else:
        assert after.offline_after is None


def test_a_status_is_announced_after_commit_only(ada, announced):
    with transaction.atomic():
        set_online([ada.pk])
        assert announced == []
    assert len(announced) == 2
    announced.clear()
    with pytest.raises(Undo), transaction.atomic():
        set_offline([ada.pk])
        raise Undo
    assert announced == []
    assert profile_of(ada).is_online is True


def test_a_listener_that_fails_does_not_fail_the_status(ada):
    def listener(**kwargs):
        raise RuntimeError("deaf")

    presence_changed.connect(listener)
    set_online([ada.pk])
    assert profile_of(ada).is_online is True


def test_each_coming_and_going_is_one_version_whoever_writes_it(ada, announced, threads):
    threads.together(*[lambda: set_online([ada.pk]), lambda: set_offline([ada.pk])] * 3)
    changes = [name for name, _ in announced if name == "presence_changed"]
    assert profile_of(ada).version == len(changes) > 0


def test_profiles_are_overdue_when_the_grace_is_over(ada, grace, linus):
    set_online([ada.pk, grace.pk, linus.pk])
    set_leaving([ada.pk, grace.pk], -1)
    set_leaving([linus.pk], 60)
    with transaction.atomic():
        assert [profile.user_id for profile in profiles.lock_overdue()] == sorted([ada.pk, grace.pk])
        assert len(profiles.lock_overdue(limit=1)) == 1
    set_offline([ada.pk])
    set_online([grace.pk])
    with transaction.atomic():
        assert [profile.user_id for profile in profiles.lock_overdue()] == []


# --- Manually ---------------------------------------------------------------------------------------------------------


def test_set_manually_lasts_five_minutes(ada, announced):
    profile = profile_of(ada)
    profile.is_online = True
    assert profiles.set_manually(profile) is True
    stored = profile_of(ada)
    assert (stored.is_online, stored.version) == (True, 1)
    assert about_now(stored.offline_after - timedelta(minutes=5))
    assert announced == [
        ("presence_changed", {"users": [ada.pk]}),
        ("status_changed", {"online": [ada.pk], "offline": []}),
    ]
    announced.clear()
    assert profiles.set_manually(profile) is False
    assert announced == []
    profile.is_online = False
    assert profiles.set_manually(profile) is True
    stored = profile_of(ada)
    assert (stored.is_online, stored.version, stored.offline_after) == (False, 2, None)


@pytest.mark.parametrize("fields", [None, ["is_online"]])
def test_saving_a_profile_sets_it_manually(ada, announced, fields):
    profile = profile_of(ada)
    profile.is_online = True
    profile.save(update_fields=fields)
    stored = profile_of(ada)
    assert (stored.is_online, stored.version) == (True, 1)
    assert stored.offline_after is not None
    assert len(announced) == 2


def test_saving_a_profile_that_has_not_changed_announces_nothing(ada, announced):
    profile_of(ada).save()
    assert announced == []
    assert profile_of(ada).version == 0


def test_a_rolled_back_manual_save_announces_nothing(ada, announced):
    profile = profile_of(ada)
    profile.is_online = True
    with pytest.raises(Undo), transaction.atomic():
        profile.save()
        raise Undo
    assert announced == []
    assert (profile_of(ada).is_online, profile_of(ada).version) == (False, 0)


@pytest.mark.django_db(transaction=False)
def test_inside_a_testcase_nothing_is_announced(ada, grace, announced, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        contacts.meet(ada.pk, grace.pk)
        set_online([ada.pk])
    assert announced == []


# --- What contacts see ---------------------------------------------------------------------------------------------


def test_presence_is_what_contacts_see(ada, grace):
    set_online([ada.pk])
    seen = profiles.presence([ada.pk, grace.pk])
    assert seen[ada.pk].model_dump() == {
        "user": {"id": ada.pk, "username": "ada"},
        "is_online": True,
        "last_seen": profile_of(ada).last_seen,
        "version": 1,
    }
    assert (seen[grace.pk].is_online, seen[grace.pk].last_seen, seen[grace.pk].version) == (False, None, 0)
    assert set(profiles.presence([ada.pk, grace.pk], online_only=True)) == {ada.pk}


def test_a_user_without_a_profile_is_offline_and_was_never_seen(ada):
    UserProfile.objects.all().delete()
    seen = profiles.presence([ada.pk])[ada.pk]
    assert (seen.is_online, seen.last_seen, seen.version) == (False, None, 0)
    assert profiles.presence([ada.pk], online_only=True) == {}


def test_a_deactivated_user_is_shown_offline(ada):
    set_online([ada.pk])
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert not profiles.presence([ada.pk])[ada.pk].is_online
    assert profiles.presence([ada.pk], online_only=True) == {}


def test_changes_since_a_moment_are_found(ada, grace):
    set_online([ada.pk, grace.pk])
    moment = profile_of(grace).changed_at + timedelta(milliseconds=1)
    assert presence_changes.changed_since(moment) == {}
    UserProfile.objects.filter(user=ada).update(changed_at=Now() + timedelta(seconds=1))
    assert presence_changes.changed_since(moment) == {ada.pk: 1}


def test_a_deactivated_contact_gets_no_notification(ada, grace):
    contacts.meet(ada.pk, grace.pk)
    set_online([grace.pk])
    User.objects.filter(pk=grace.pk).update(is_active=False)
    set_online([ada.pk])
    assert not Notification.objects.exists()
