"""Profiles in the admin: presence set by hand, announced like any other."""

import pytest
from django.contrib.auth.models import User

from messaging.models import Inbox, Message, UserProfile
from messaging.tests.admin_client import admin_url

pytestmark = pytest.mark.django_db(transaction=True)


def test_setting_users_online_and_offline_is_announced_once_for_all(admin, ada, grace, announced):
    profiles = list(UserProfile.objects.filter(user__in=[ada, grace]).order_by("user"))
    announced.clear()
    assert "2 users set online." in admin.run_action("set_online", *profiles)
    both = sorted([ada.pk, grace.pk])
    assert ("presence_changed", {"users": both}) in announced
    assert ("status_changed", {"online": both, "offline": []}) in announced
    profile = UserProfile.objects.get(user=ada)
    assert (profile.is_online, profile.version) == (True, 1)
    assert profile.offline_after is not None
    assert "0 users set online." in admin.run_action("set_online", *profiles)
    assert "1 user set offline." in admin.run_action("set_offline", profiles[0])
    profile = UserProfile.objects.get(user=profiles[0].user)
    assert (profile.is_online, profile.version, profile.offline_after) == (False, 2, None)


def test_a_user_set_online_is_announced_to_contacts_who_are_online(admin, ada, grace, assigned):
    Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    admin.run_action("set_online", UserProfile.objects.get(user=grace))
    assigned(grace)
    admin.run_action("set_online", UserProfile.objects.get(user=ada))
    [revision] = assigned(grace)
    assert [shape.title for shape in revision.added] == ["ada is online"]


def test_a_profiles_page_has_the_same_effects(admin, ada, announced):
    profile = UserProfile.objects.get(user=ada)
    announced.clear()
    admin.post(admin_url(profile, "change"), is_online="on", version=70)
    profile.refresh_from_db()
    assert (profile.is_online, profile.version) == (True, 1)
    assert ("status_changed", {"online": [ada.pk], "offline": []}) in announced


def test_profiles_and_inboxes_go_with_their_user_and_not_before(admin, ada):
    for thing in (ada.profile, ada.inbox):
        assert admin.client.post(admin_url(thing, "delete"), {"post": "yes"}).status_code == 403
    admin.post(admin_url(ada, "delete"), post="yes")
    assert not User.objects.filter(pk=ada.pk).exists()
    assert not Inbox.objects.filter(user_id=ada.pk).exists()
