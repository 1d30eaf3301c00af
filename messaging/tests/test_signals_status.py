"""What a new user and a change of status set off."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging import contacts, signals
from messaging.events import status_changed
from messaging.models import Inbox, Notification, UserProfile
from messaging.tests.presence import set_offline, set_online
from messaging.tests.rows import texts

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_user_is_made_with_a_profile_and_an_inbox(ada):
    assert UserProfile.objects.get().user == ada
    assert Inbox.objects.get().user == ada
    ada.save()
    assert UserProfile.objects.count() == Inbox.objects.count() == 1


def test_online_contacts_are_notified_of_a_status_and_others_are_not(ada, grace, linus, margaret):
    for other in (grace, linus):
        contacts.meet(ada.pk, other.pk)
    set_online([grace.pk, margaret.pk])
    set_online([ada.pk])
    assert texts(grace) == [("user_online", "ada is online", "")]
    row = Notification.objects.get(user=grace)
    assert (row.actor, row.is_read, row.level) == (ada, True, "success")
    assert Notification.objects.count() == 1
    set_offline([ada.pk])
    assert texts(grace)[1:] == [("user_offline", "ada is offline", "")]
    assert Notification.objects.count() == 2


def test_status_notifications_toast_and_never_count(ada, grace, assigned):
    contacts.meet(ada.pk, grace.pk)
    set_online([grace.pk])
    set_online([ada.pk])
    [revision] = assigned(grace)
    assert [(shape.notification_type, shape.is_read) for shape in revision.added] == [("user_online", True)]
    assert revision.unread_count == 0


def test_a_batch_of_changes_creates_a_bounded_number_of_notifications(ada, grace, linus, monkeypatch):
    monkeypatch.setattr(signals, "MAX_STATUS_NOTIFICATIONS", 1)
    for other in (grace, linus):
        contacts.meet(ada.pk, other.pk)
    set_online([grace.pk, linus.pk])
    set_online([ada.pk])
    assert Notification.objects.count() == 1


def test_status_notifications_are_one_a_pair_in_ten_minutes(ada, grace, monkeypatch):
    now = 1_000 * signals.STATUS_WINDOW
    monkeypatch.setattr("messaging.signals.time.time", lambda: now)
    contacts.meet(ada.pk, grace.pk)
    set_online([grace.pk])
    for _ in range(3):
        set_online([ada.pk])
        set_offline([ada.pk])
    assert [kind for kind, _, _ in texts(grace)] == ["user_online", "user_offline"]
    now += signals.STATUS_WINDOW - 1
    set_online([ada.pk])
    assert len(texts(grace)) == 2
    now += 1
    set_offline([ada.pk])
    assert [kind for kind, _, _ in texts(grace)] == ["user_online", "user_offline", "user_offline"]


def test_contacts_who_come_online_together_are_notified_of_each_other(ada, grace):
    contacts.meet(ada.pk, grace.pk)
    set_online([ada.pk, grace.pk])
    assert len(texts(ada)) == len(texts(grace)) == 1


def test_a_status_takes_the_same_queries_for_2_contacts_as_for_20(ada):
    others = [User.objects.create_user(f"user{number}") for number in range(20)]
    contacts.meet(ada.pk, others[0].pk)
    contacts.meet(ada.pk, others[1].pk)
    set_online([other.pk for other in others])
    with CaptureQueriesContext(connection) as two:
        set_online([ada.pk])
    for other in others:
        contacts.meet(ada.pk, other.pk)
    with CaptureQueriesContext(connection) as twenty:
        set_offline([ada.pk])
    assert Notification.objects.count() == 22
    assert len(two) == len(twenty)


def test_a_status_of_a_deleted_user_notifies_no_one(ada, grace):
    contacts.meet(ada.pk, grace.pk)
    set_online([grace.pk])
    status_changed.send(sender=UserProfile, online=[2**31 - 1], offline=[])
    assert texts(grace) == []


def test_is_online_set_by_hand_has_the_same_effects(ada, grace, announced):
    contacts.meet(ada.pk, grace.pk)
    set_online([grace.pk])
    announced.clear()
    profile = UserProfile.objects.get(user=ada)
    profile.is_online = True
    profile.save()
    assert ("presence_changed", {"users": [ada.pk]}) in announced
    assert ("status_changed", {"online": [ada.pk], "offline": []}) in announced
    assert texts(grace) == [("user_online", "ada is online", "")]
    announced.clear()
    profile.save()
    assert announced == []
