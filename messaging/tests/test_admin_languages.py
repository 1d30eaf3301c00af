"""The admin in the reader's language: whatever a page of ours says comes from a catalogue.

The catalogue of these tests has every text, and puts it into ⟦ ⟧: what is outside of them is in no catalogue.
"""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.urls import reverse
from django.utils import translation
from django.utils.functional import Promise
from django.utils.text import camel_case_to_spaces
from django.utils.translation import trans_real

from messaging import blocks, broadcast_jobs, login_throttle, tokens
from messaging.exceptions import TooManyAttempts
from messaging.models import BroadcastJob, Inbox, Message, Notification, UserProfile
from messaging.notifications import notify
from messaging.tests.admin_client import AdminClient, admin_url
from messaging.tests.marked_texts import Everything, untranslated
from messaging.tests.rows import send
from messaging.tests.test_admin_sending import URL, form

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def marked(monkeypatch):
    """German, with a catalogue that has everything."""
    monkeypatch.setattr(trans_real.translation("de"), "_catalog", Everything())


@pytest.fixture
def reader(root, marked):
    browser = AdminClient(root)
    browser.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    return browser


@pytest.fixture
def rows(ada, grace, root):
    """A row of each model that has a page."""
    group = Group.objects.create(name="Editors")
    group.user_set.add(ada)
    message = send(ada, grace)
    Message.objects.update(content="Hello")
    Notification.everything.all().hard_delete()
    token, _ = tokens.make("shop", can_publish=True)
    notification = notify(
        grace, "announcement", "Hello", "Hello", actor=ada, message=message, data={"order": 1}, url="/x"
    )
    jobs = [
        BroadcastJob.objects.create(
            key=state,
            group_id=number or None,
            receivers="Editors",
            notification_type="announcement",
            title="Hello",
            total=number,
            state=state,
        )
        for number, state in enumerate(BroadcastJob.State.values)
    ]
    block = blocks.block(grace.pk, root.pk)
    Inbox.objects.update(epoch="1")
    return [
        message,
        token,
        notification,
        block,
        UserProfile.objects.get(user=ada),
        Inbox.objects.get(user=ada),
        *jobs,
    ]


def test_what_is_in_no_catalogue_is_found():
    """Negative control."""
    html = (
        '<p title="Titel">⟦Read ⟦notification⟧⟧ 3, ada</p><input type="submit" value="Send"><b>⟦x⟧ users</b>'
    )
    assert untranslated(html) == ["Titel", "Send", "⟦x⟧ users"]


def test_every_page_of_a_row_is_translated(reader, rows):
    for row in rows:
        for html in (reader.page(row), reader.list(f"{row._meta.app_label}_{row._meta.model_name}")):
            assert "⟦" in html
            assert untranslated(html) == []


@pytest.mark.parametrize("model", ["message", "block", "apitoken"])
def test_every_form_is_translated_with_its_errors(model, reader, rows, ada):
    url = reverse(f"admin:messaging_{model}_add")
    for fields in (
        {},
        {
            "sender": ada.pk,
            "receiver": ada.pk,
            "blocker": ada.pk,
            "blocked": ada.pk,
            "name": "shop",
            "content": "x",
        },
    ):
        assert untranslated(reader.post(url, **fields)) == []
    assert untranslated(reader.client.get(url).content.decode()) == []


def test_whom_one_may_not_act_for_is_said_in_the_readers_language(staff, marked, root, ada):
    browser = staff("add_apitoken", "add_message")
    browser.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    page = browser.post(reverse("admin:messaging_apitoken_add"), name="shop", user=root.pk, can_publish="on")
    assert "⟦You may not act in the name of root: " in page
    assert "⟦You may not grant it: " in page
    assert untranslated(page) == []


@pytest.mark.parametrize(
    "fields",
    [
        form(usernames="ada\ngrace", description="Hello", url="/x"),
        form(usernames="ada", level="warning"),
        form(to="everybody"),
        form(usernames=""),
        form(usernames="ada", title=""),
        form(usernames="ada", title="Hello\x85"),
        form(usernames="ada", title="Hello\u202e"),
        form(usernames="ada", description="Hello\u2066"),
        form(usernames="ada", title="\u3164"),
        form(usernames="ada", url="javascript:x"),
        form(usernames="ada", to="everybody"),
    ],
)
def test_sending_is_translated(fields, reader, rows):
    assert untranslated(reader.client.get(URL).content.decode()) == []
    page = reader.post(URL, **fields)
    assert untranslated(page) == []
    if 'name="confirmed"' in page:
        assert untranslated(reader.post(URL, **fields, confirmed="yes")) == []


def test_names_of_no_user_are_listed_in_the_readers_language(reader, rows):
    page = reader.post(URL, **form(usernames=",".join(f"x{number:02}" for number in range(12))))
    assert "x09&#x27; and 2 more⟧.⟧" in page


ACTIONS: Any = {
    # Reading a message makes a receipt, whose title has been stored.
    "mark_read": [Notification, Message],
    "mark_unread": [Notification, Message],
    "set_online": [UserProfile],
    "set_offline": [UserProfile],
    "send_notification": [UserProfile],
}


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_are_translated(action, reader, rows):
    for rows_of in ACTIONS[action]:
        assert untranslated(reader.run_action(action, *rows_of.objects.all())) == []


def test_deleting_and_revoking_are_translated(reader, rows, ada):
    message, token, notification, *_ = rows
    assert untranslated(reader.run_action("revoke", token)) == []
    for row in (message, notification, ada):
        assert untranslated(reader.run_action("delete_selected", row)) == []
    assert untranslated(reader.client.get(admin_url(ada, "delete")).content.decode()) == []


@pytest.mark.parametrize("what", ["cancel", "resume"])
def test_broadcasts_are_cancelled_and_resumed_in_the_readers_language(what, reader, rows, monkeypatch):
    monkeypatch.setattr(broadcast_jobs, "start_due", lambda: None)
    for job in BroadcastJob.objects.all():
        assert untranslated(reader.post(reverse(f"admin:messaging_broadcastjob_{what}", args=[job.pk]))) == []


def test_a_refused_sign_in_says_why_in_the_readers_language(client, marked, monkeypatch):
    def refuse(*args):
        raise TooManyAttempts(60)

    monkeypatch.setattr(login_throttle, "refuse_after_failures", refuse)
    answer = client.post(
        reverse("admin:login"), {"username": "ada", "password": "x"}, headers={"Accept-Language": "de"}
    )
    page = answer.content.decode()
    assert "⟦Too many failed sign-ins: wait a few minutes.⟧" in page
    assert untranslated(page) == []


# --- English, and what is stored --------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["messaging", "realtime"])
def test_english_names_are_those_that_the_models_have_anyway(app):
    """So permissions keep their names, and no migration has others."""
    for model in apps.get_app_config(app).get_models():
        names: Any = model._meta
        declared = names.original_attrs
        one = declared.get("verbose_name") or camel_case_to_spaces(names.object_name)
        assert str(names.verbose_name) == one
        assert str(names.verbose_name_plural) == declared.get("verbose_name_plural", f"{one}s")
        assert isinstance(names.verbose_name, Promise)
        for field in names.local_fields:
            assert str(field.verbose_name) == (field._verbose_name or field.name.replace("_", " "))


def test_no_migration_has_the_names():
    # Of these apps: other tests have models of their own under other labels.
    call_command("makemigrations", "messaging", "realtime", "--check", "--dry-run", verbosity=0)


def test_no_permission_is_in_another_language(db):
    with translation.override("de"):
        call_command("migrate", verbosity=0)
    assert Permission.objects.filter(codename="add_message").get().name == "Can add message"


def test_history_is_in_the_common_language_whoever_writes_it(reader, rows, ada, settings):
    _, token, *_ = rows
    settings.LANGUAGE_CODE = "en-us"
    reader.run_action("revoke", token)
    fields = form(usernames="ada")
    reader.post(URL, **fields, confirmed="yes")
    page = reader.post(URL, **(form(to="everybody") | {"key": "l"}), confirmed="yes")
    assert untranslated(page) == []
    sender = {"sender": ada.pk, "receiver": ada.pk + 10**6}
    reader.post(reverse("admin:messaging_message_add"), **sender, content="x")
    reader.client.post(admin_url(rows[0], "change"), {"is_read": "on"})
    said = [f"{entry.object_repr} | {entry.change_message}" for entry in LogEntry.objects.all()]
    assert len(said) >= 4
    assert [text for text in said if "⟦" in text] == []


def test_a_presence_row_is_named_in_the_readers_language(ada):
    with translation.override("fr"):
        assert str(UserProfile.objects.get(user=ada)) == "ada (hors ligne)"
