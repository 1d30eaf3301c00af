"""Inboxes that disagree with their rows are found and recounted; those that only haven't been numbered yet are not."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from messaging import inboxes, notifications, repair
from messaging.dialects import triggers
from messaging.models import Inbox, Notification, UserProfile
from messaging.notifications import assign_revisions, notify
from messaging.tests.domain_replica import check_counts, fresh_read
from messaging.tests.rows import sql

pytestmark = pytest.mark.django_db(transaction=True)

COLUMNS = "notification_type, title, description, level, is_read, revision, counted, pending_since"
COPY = f"INSERT INTO messaging_notification (user_id, {COLUMNS}) SELECT %s, {COLUMNS} FROM messaging_notification"


@pytest.fixture
def inbox(ada):
    """Ada's inbox with three notifications, of which one is read and two are counted."""
    for title in ("One", "Two", "Three"):
        notify(ada, "announcement", title)
    assign_revisions([ada.pk])
    notifications.mark_read(ada, [Notification.objects.get(title="One").pk])
    assign_revisions([ada.pk])
    return Inbox.objects.get(user=ada)


@pytest.fixture
def rotate():
    rotation = repair.Rotation()
    return lambda: rotation.repair([])


WRITERS = {
    "a row deleted": "DELETE FROM messaging_notification WHERE title = 'Two'",
    "all rows deleted": "DELETE FROM messaging_notification",
    "the count set": "UPDATE messaging_inbox SET unread_count = 7",
    "the count below zero": "UPDATE messaging_inbox SET unread_count = -3",
    "the revision set back": "UPDATE messaging_inbox SET revision = 0",
    "the floor raised": "UPDATE messaging_inbox SET floor = revision + 3",
    "a row's revision set": "UPDATE messaging_notification SET revision = revision + 7",
    "rows copied": COPY.replace("%s", "user_id"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_wrong_inbox_is_recounted_in_a_new_epoch(writer, inbox, ada, rotate):
    sql(WRITERS[writer])
    assert [found.user_id for found in rotate()] == [ada.pk]
    check_counts(ada.pk)
    repaired = Inbox.objects.get(user=ada)
    assert repaired.epoch != inbox.epoch
    assert repaired.floor == repaired.revision > inbox.revision
    assert rotate() == []
    notify(ada, "announcement", "Four")
    assert assign_revisions([ada.pk])[-1].unread_count == fresh_read(ada.pk).unread


CONTRADICTIONS = {
    "all counted": "UPDATE messaging_notification SET counted = %s",
    "none counted": "UPDATE messaging_notification SET counted = NOT %s",
    "no revision": "UPDATE messaging_notification SET revision = NULL WHERE %s",
    "marked pending no longer": "UPDATE messaging_notification SET pending_since = NULL WHERE %s",
}


@pytest.mark.parametrize("writer", CONTRADICTIONS)
def test_rows_that_contradict_themselves_are_numbered_and_delivered(writer, inbox, ada, rotate):
    if writer == "marked pending no longer":
        sql("UPDATE messaging_notification SET is_read = NOT is_read")
    sql(CONTRADICTIONS[writer], True)
    assert repair.contradictory_rows().exists()
    rotate()
    rotate()
    assert not repair.contradictory_rows().exists()
    check_counts(ada.pk)


def test_a_raw_change_that_is_not_marked_pending_reaches_clients_without_a_reset(inbox, ada, rotate):
    sql("UPDATE messaging_notification SET is_read = NOT is_read")
    sql("UPDATE messaging_notification SET pending_since = NULL")
    assert rotate() == []
    assert Inbox.objects.get(user=ada).epoch == inbox.epoch
    missed = inboxes.missed({ada.pk: inbox.revision})[ada.pk]
    assert (missed.unread_count, len(missed.rows)) == (1, 3)


@pytest.mark.parametrize("pending", ["new", "read", "removed"])
def test_what_has_no_revision_yet_is_not_wrong(inbox, ada, rotate, pending):
    if pending == "new":
        notify(ada, "announcement", "Four")
    elif pending == "read":
        notifications.mark_read(ada)
    else:
        ada.notifications.all().delete()
    assert rotate() == []
    assert Inbox.objects.get(user=ada).epoch == inbox.epoch


def test_an_inbox_that_is_right_stays_as_it_is(inbox, ada, grace, rotate):
    assert rotate() == []
    assert repair.repair([ada.pk, grace.pk]) == []
    assert list(repair.repair_all()) == []


def test_no_count_below_zero_leaves_the_server(inbox, ada):
    sql("UPDATE messaging_inbox SET unread_count = -9")
    assert inboxes.missed({ada.pk: 0})[ada.pk].unread_count == 0
    assert inboxes.state(ada.pk).unread_count == 0
    notify(ada, "announcement", "Four")
    assert assign_revisions([ada.pk])[0].unread_count == 0
    assert Inbox.objects.get(user=ada).unread_count == 0


def test_a_missing_inbox_goes_on_where_its_rows_end(inbox, ada):
    Inbox.objects.all().delete()
    assert inboxes.state(ada.pk).unread_count == 2
    check_counts(ada.pk)
    made = Inbox.objects.get(user=ada)
    assert (made.revision, made.floor) == (inbox.revision, inbox.revision)
    assert made.epoch != inbox.epoch


def test_a_connected_users_missing_inbox_is_created(inbox, ada):
    Inbox.objects.all().delete()
    repair.Rotation().repair([ada.pk, ada.pk + 1000])
    check_counts(ada.pk)


def test_each_round_checks_the_next_ones(monkeypatch, ada, grace, linus, margaret):
    monkeypatch.setattr(repair, "CONNECTED_PER_ROUND", 2)
    monkeypatch.setattr(repair, "OTHERS_PER_ROUND", 1)
    checked = []

    def check(user_ids):
        checked.append(user_ids)
        return []

    monkeypatch.setattr(repair, "repair", check)
    rotation = repair.Rotation()
    one, two, three, four = ada.pk, grace.pk, linus.pk, margaret.pk
    for _ in range(4):
        rotation.repair([three, one, two])
    assert checked == [{one, two}, {three, one, two}, {two, three}, {one, two, four}]
    rotation.repair([])
    assert checked[-1] == set()


# --- Fixtures ------------------------------------------------------------------------------------------------


def load(text):
    for entry in serializers.deserialize("json", text):
        entry.save()


@pytest.mark.parametrize(
    "models", [["notification"], ["inbox"], ["inbox", "notification"], ["notification", "inbox"]]
)
@pytest.mark.parametrize("meanwhile", ["nothing", "emptied", "went on"])
def test_after_a_dump_was_loaded_counts_and_rows_agree(models, meanwhile, inbox, ada, rotate):
    querysets = {"notification": Notification.everything.order_by("pk"), "inbox": Inbox.objects.all()}
    dump = [serializers.serialize("json", querysets[model]) for model in models]
    if meanwhile == "emptied":
        Notification.everything.all().hard_delete()
        Inbox.objects.all().delete()
    elif meanwhile == "went on":
        notifications.mark_read(ada)
        notify(ada, "announcement", "Four")
        notify(ada, "announcement", "Five")
        assign_revisions([ada.pk])
    for text in dump:
        load(text)
    for _ in range(2):
        assign_revisions([ada.pk])
        rotate()
    check_counts(ada.pk)


def test_a_dump_by_natural_keys_is_loaded_into_a_database_of_other_ids(inbox, ada, grace, rotate, tmp_path):
    file = tmp_path / "dump.json"
    natural = {"use_natural_primary_keys": True, "use_natural_foreign_keys": True, "verbosity": 0}
    models: list[Any] = [User, *User._meta.get_parent_list(), UserProfile, Notification]
    labels = [model._meta.label for model in models]
    call_command("dumpdata", *labels, output=file, **natural)
    was = ada.pk
    grace.delete()
    ada.delete()
    User.objects.create_user("newcomer")
    call_command("loaddata", file, verbosity=0)
    again = User.objects.get(username="ada")
    assert again.pk != was
    call_command("check_inboxes", repair=True, verbosity=0)
    check_counts(again.pk)
    assert again.inbox.unread_count == again.notifications.filter(is_read=False).count() == 2


def test_a_copy_of_a_row_is_a_new_one(inbox, ada, grace):
    row = ada.notifications.get(title="Two")
    row.pk, row.user, row._state.adding = None, grace, True
    row.save()
    assign_revisions([ada.pk, grace.pk])
    check_counts(ada.pk)
    check_counts(grace.pk)
    assert inboxes.state(grace.pk).unread_count == 1


# --- check_inboxes --repair --------------------------------------------------------------------------------------


def run(*arguments):
    out = io.StringIO()
    try:
        call_command("check_inboxes", *arguments, stdout=out, stderr=out)
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def test_the_command_repairs_everything_and_says_what_it_did(inbox, ada, grace):
    sql(COPY, grace.pk)
    sql("UPDATE messaging_inbox SET unread_count = -3 WHERE user_id = %s", ada.pk)
    assert run()[0] == 1
    code, text = run("--repair")
    assert code == 0
    assert f"inbox of user {ada.pk}: unread_count -3 recounted, is 2; new epoch" in text
    assert f"inbox of user {grace.pk}: unread_count 0 recounted, is 2; new epoch" in text
    assert "2 inboxes checked, all consistent" in text
    assert run("--repair") == (0, "2 inboxes checked, all consistent.\n")


def test_the_command_repairs_a_wrong_inbox_with_pending_rows(inbox, ada):
    """Which can be seen to be wrong only when they have been numbered."""
    sql("UPDATE messaging_inbox SET unread_count = 7 WHERE user_id = %s", ada.pk)
    with transaction.atomic():
        notify(ada, "announcement", "Pending")
    assert Notification.everything.filter(pending_since__isnull=False).exists()
    code, text = run("--repair")
    assert code == 0
    assert f"inbox of user {ada.pk}: unread_count 8 recounted, is 3; new epoch" in text
    check_counts(ada.pk)


def test_the_command_creates_what_is_missing(inbox, ada):
    Inbox.objects.all().delete()
    sql("UPDATE messaging_notification SET counted = %s", False)
    triggers.drop(connection)
    try:
        assert "triggers of notifications are missing" in run()[1]
        code, text = run("--repair")
    finally:
        triggers.create(connection)
    assert code == 0
    assert "triggers of notifications were missing, and have been created" in text
    assert "rows of 1 users have got new revisions" in text
    check_counts(ada.pk)


def test_without_repair_the_command_changes_nothing(inbox):
    sql("UPDATE messaging_inbox SET unread_count = -3")
    assert run()[0] == 1
    assert Inbox.objects.get().unread_count == -3
