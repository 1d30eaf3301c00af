"""Saves whose receivers do nothing: fixtures, and code under receivers_muted()."""

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.db.models.signals import post_save, pre_save

from messaging import signals
from messaging.events import status_changed
from messaging.models import Contact, Message, Notification, UserProfile
from messaging.signals import receivers_muted
from messaging.tests.presence import set_online
from messaging.tests.rows import read, send
from messaging.tests.transactions import Undo

pytestmark = pytest.mark.django_db(transaction=True)


def test_fixtures_that_are_loaded_are_left_alone(ada, grace):
    message = send(grace, ada)
    raw = User.objects.create_user("raw")
    data = serializers.serialize("json", [raw, message])
    raw.delete()
    message.delete()
    Notification.everything.all()._raw_delete("default")
    for loaded in serializers.deserialize("json", data):
        loaded.save()
    raw = User.objects.get(username="raw")
    assert not UserProfile.objects.filter(user=raw).exists()
    assert Message.objects.get().content == "Hello!"
    assert not Notification.everything.exists()


def test_muted_receivers_do_nothing(ada, grace, announced):
    with receivers_muted():
        message = send(grace, ada)
        read(message)
        silent = User.objects.create_user("silent")
        set_online([ada.pk])
    assert not Notification.everything.exists()
    assert not Contact.objects.exists()
    assert not UserProfile.objects.filter(user=silent).exists()
    send(grace, ada)
    assert Notification.objects.count() == 1


def test_receivers_run_again_after_an_error(ada, grace):
    with pytest.raises(Undo), receivers_muted():
        raise Undo
    send(grace, ada)
    assert Notification.objects.count() == 1


def test_muting_one_thread_leaves_the_others_alone(ada, grace, threads):
    with receivers_muted():
        threads.start(send, grace, ada)
        threads.join()
    assert Notification.objects.count() == 1


def test_connecting_twice_connects_once(ada, grace):
    before = len(post_save.receivers), len(pre_save.receivers), len(status_changed.receivers)
    signals.connect()
    assert before == (len(post_save.receivers), len(pre_save.receivers), len(status_changed.receivers))
    send(grace, ada)
    assert Notification.objects.count() == 1
