"""Users who are deleted while others write to them. What needs row locks is in test_deadlocks_postgresql.py."""

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.db.models import Q
from django.db.models.deletion import Collector

from messaging import tokens, user_deletion
from messaging.models import ApiToken, Contact, Inbox, Message, Notification, UserProfile
from messaging.notifications import notify
from messaging.tests.test_references import Proxy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def arriving(monkeypatch, grace):
    """arriving(ada): at the moment between Django's look and the deletion, everything that refers to ada arrives."""
    delete = Collector.delete

    def arrive(user):
        pk = user.pk

        def late(collector):
            monkeypatch.setattr(Collector, "delete", delete)
            message = Message.objects.create(sender=grace, receiver_id=pk, content="Late")
            Message.objects.create(sender_id=pk, receiver=grace, content="Late")
            notify(pk, "announcement", "Late")
            notify(grace, "announcement", "Late", actor=pk, message=message)
            tokens.make("late", user=User.objects.get(pk=pk))
            return delete(collector)

        monkeypatch.setattr(Collector, "delete", late)

    return arrive


# Proxy is defined after the apps are ready, which no project's is.
user_deletion.connect()

WAYS = {
    "instance": lambda user: user.delete(),
    "queryset": lambda user: User.objects.filter(pk=user.pk).delete(),
    "proxy": lambda user: Proxy.objects.get(pk=user.pk).delete(),
    "several": lambda user: User.objects.filter(username__in=["ada", "linus"]).delete(),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_arrives_while_a_user_is_deleted_goes_along(ada, grace, linus, arriving, way):
    pk = ada.pk
    arriving(ada)
    WAYS[way](ada)
    assert not User.objects.filter(pk=pk).exists()
    for model in (Inbox, UserProfile, ApiToken):
        assert not model.objects.filter(user_id=pk).exists()
    assert not Contact.objects.exists()
    assert not Message.objects.filter(Q(sender_id=pk) | Q(receiver_id=pk)).exists()
    assert not Notification.everything.filter(user_id=pk).exists()
    late = Notification.everything.get(user=grace, notification_type="announcement")
    assert (late.actor_id, late.message_id) == (None, None)


def test_without_the_receiver_such_a_deletion_fails(ada, arriving, monkeypatch):
    """Negative control."""
    monkeypatch.setattr(user_deletion, "_referring", lambda *args: iter([(None, User.objects.none())] * 2))
    arriving(ada)
    with pytest.raises(IntegrityError):
        ada.delete()


def test_a_message_with_notifications_is_deleted_by_row_and_by_queryset(ada, grace):
    for number in range(2):
        Message.objects.create(sender=ada, receiver=grace, content=str(number))
    assert Message.objects.first().delete()[1] == {"messaging.Message": 1}
    assert Message.objects.filter(sender=ada).delete()[1] == {"messaging.Message": 1}
    assert set(Notification.objects.values_list("message_id", flat=True)) == {None}
