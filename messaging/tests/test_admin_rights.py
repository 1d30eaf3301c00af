"""Acting in another user's name: the right to add a row isn't enough."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.urls import reverse

from messaging import tokens
from messaging.admin.common import may_act_for
from messaging.models import ApiToken, Block, Message, UserProfile
from messaging.tests.admin_client import admin_url

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = reverse("admin:messaging_apitoken_add")
MESSAGE = reverse("admin:messaging_message_add")
BLOCK = reverse("admin:messaging_block_add")


def test_who_may_add_tokens_makes_none_for_others(staff, root, ada):
    page = staff("add_apitoken", "view_apitoken")
    for other in (root, ada):
        assert "in the name of" in page.post(TOKEN, name="mine", user=other.pk)
    assert "send notifications" in page.post(TOKEN, name="mine", can_publish="on")
    assert not ApiToken.objects.exists()
    assert not LogEntry.objects.exists()


def test_who_may_add_tokens_makes_one_for_themselves(staff):
    page = staff("add_apitoken", "view_apitoken")
    margaret = User.objects.get(username="margaret")
    assert "The secret of" in page.post(TOKEN, name="mine", user=margaret.pk)
    assert ApiToken.objects.get().user == margaret


def test_who_may_change_users_makes_tokens_for_them_but_not_for_a_superuser(staff, root, ada):
    page = staff("add_apitoken", "view_apitoken", "change_user")
    assert "in the name of root" in page.post(TOKEN, name="taken", user=root.pk)
    assert "The secret of" in page.post(TOKEN, name="given", user=ada.pk)
    assert ApiToken.objects.get().user == ada


def test_who_may_send_notifications_makes_tokens_that_publish(staff):
    page = staff("add_apitoken", "view_apitoken", "send_notification")
    assert "The secret of" in page.post(TOKEN, name="shop", can_publish="on")
    assert ApiToken.objects.get().can_publish


def test_a_tokens_user_cannot_be_changed_later(staff, root):
    page = staff("add_apitoken", "view_apitoken", "change_apitoken")
    margaret = User.objects.get(username="margaret")
    token, _ = tokens.make("mine", user=margaret)
    page.post(admin_url(token, "change"), name="mine", user=root.pk, can_publish="on")
    token.refresh_from_db()
    assert (token.user, token.can_publish) == (margaret, False)


def test_the_log_names_in_whose_name_a_token_acts(admin, ada):
    admin.post(TOKEN, name="phone", user=ada.pk, can_publish="on")
    said = "It acts in the name of ada and may publish to anyone."
    assert LogEntry.objects.get().change_message == f"Created. {said}"
    admin.run_action("revoke", ApiToken.objects.get())
    assert LogEntry.objects.first().change_message == f"Revoked. {said}"


def test_who_may_add_messages_writes_in_no_others_name(staff, ada, grace):
    page = staff("add_message", "view_message")
    assert "in the name of ada" in page.post(MESSAGE, sender=ada.pk, receiver=grace.pk, content="Hello!")
    assert not Message.objects.exists()
    margaret = User.objects.get(username="margaret")
    page.post(MESSAGE, sender=margaret.pk, receiver=grace.pk, content="Hello!")
    assert Message.objects.get().sender == margaret


def test_who_may_add_blocks_blocks_in_no_others_name(staff, ada, grace):
    page = staff("add_block", "view_block")
    assert "in the name of ada" in page.post(BLOCK, blocker=ada.pk, blocked=grace.pk)
    assert not Block.objects.exists()
    margaret = User.objects.get(username="margaret")
    page.post(BLOCK, blocker=margaret.pk, blocked=grace.pk)
    assert Block.objects.get().blocker == margaret


@pytest.mark.parametrize(("right", "is_hidden"), [("view_user", True), ("change_user", False)])
def test_a_hidden_user_is_shown_by_who_may_change_users_alone(staff, ada, right, is_hidden):
    UserProfile.objects.filter(user=ada).update(is_hidden=True)
    staff("change_userprofile", right).post(admin_url(UserProfile.objects.get(user=ada), "change"))
    assert UserProfile.objects.get(user=ada).is_hidden == is_hidden


def test_a_superuser_may_act_for_all_and_others_for_themselves(root, ada, grace):
    assert may_act_for(root, ada)
    assert may_act_for(ada, ada)
    assert not may_act_for(ada, grace)
    assert not may_act_for(ada, root)
