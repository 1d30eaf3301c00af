"""Blocks in the admin: staff with the rights may list, add and delete them, and presence follows."""

import pytest

from messaging import blocks
from messaging.exceptions import UnknownUser
from messaging.models import Block, Contact, Message

pytestmark = pytest.mark.django_db(transaction=True)

BLOCKS = "/admin/messaging/block/"


def test_a_block_is_added_and_deleted_as_by_the_user(ada, grace, client, root):
    Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    client.force_login(root)
    response = client.post(f"{BLOCKS}add/", {"blocker": ada.pk, "blocked": grace.pk})
    assert response.status_code == 302
    block = Block.objects.get()
    assert str(block) == "grace, blocked by ada"
    assert Contact.objects.get().is_frozen
    assert b"grace" in client.get(BLOCKS).content
    assert client.post(f"{BLOCKS}{block.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Block.objects.exists()
    assert not Contact.objects.get().is_frozen


def test_several_are_deleted_as_by_the_users(ada, grace, linus, client, root):
    Message.objects.create(sender=ada, receiver=grace, content="Hello!")
    rows = [blocks.block(ada.pk, grace.pk), blocks.block(grace.pk, linus.pk)]
    client.force_login(root)
    chosen = {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"}
    client.post(BLOCKS, chosen)
    assert not Block.objects.exists()
    assert not Contact.objects.get().is_frozen


def test_a_block_of_oneself_is_refused(ada, client, root):
    client.force_login(root)
    response = client.post(f"{BLOCKS}add/", {"blocker": ada.pk, "blocked": ada.pk})
    assert b"block themselves" in response.content
    assert not Block.objects.exists()


def test_a_withheld_message_is_shown_as_such(ada, grace, client, root):
    blocks.block(ada.pk, grace.pk)
    message = Message.objects.create(sender=grace, receiver=ada, content="Hello!")
    client.force_login(root)
    for path in ("", f"{message.pk}/change/"):
        assert b"ithheld" in client.get(f"/admin/messaging/message/{path}").content


def test_a_user_who_is_deleted_meanwhile_is_a_message_on_the_page(ada, grace, client, root, monkeypatch):
    def deleted(*ids):
        raise UnknownUser

    monkeypatch.setattr(blocks, "block", deleted)
    client.force_login(root)
    page = client.post(f"{BLOCKS}add/", {"blocker": ada.pk, "blocked": grace.pk}, follow=True)
    assert b"has been deleted meanwhile" in page.content
