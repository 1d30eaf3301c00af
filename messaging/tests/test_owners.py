"""A notification that changes its owner, by any means: both badges are right, and both clients are sent it."""

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor as SqliteEditor

from messaging import inboxes
from messaging.checks import missing_triggers
from messaging.dialects import triggers
from messaging.models import Inbox, Notification
from messaging.notifications import assign_revisions, mark_read, notify, remove
from messaging.tests.domain_replica import DomainReplica, check_counts, fresh_read
from messaging.tests.rows import sql

pytestmark = pytest.mark.django_db(transaction=True)


def by_update(rows, owner):
    rows.update(user=owner)


def by_update_of_the_id(rows, owner):
    rows.update(user_id=owner.pk)


def by_save(rows, owner):
    for row in rows:
        row.user = owner
        row.save()


def by_save_of_one_field(rows, owner):
    for row in rows:
        row.user = owner
        row.save(update_fields=["user"])


def by_add(rows, owner):
    owner.notifications.add(*rows)


def by_set(rows, owner):
    owner.notifications.set(rows)


def by_bulk_update(rows, owner):
    moved = list(rows)
    for row in moved:
        row.user = owner
    Notification.objects.bulk_update(moved, ["user"])


def by_upsert(rows, owner):
    moved = list(rows)
    for row in moved:
        row.user = owner
    Notification.objects.bulk_create(
        moved, update_conflicts=True, unique_fields=["id"], update_fields=["user"]
    )


def by_sql(rows, owner):
    for row in rows:
        sql("UPDATE messaging_notification SET user_id = %s WHERE id = %s", owner.pk, row.pk)


WRITERS = [value for name, value in globals().items() if name.startswith("by_")]


@pytest.fixture
def clients(ada, grace):
    """Ada's client with three notifications, the first of them read, and Grace's with one."""
    for title in ("One", "Two", "Three"):
        notify(ada, "announcement", title)
    notify(grace, "announcement", "Hers")
    assign_revisions([ada.pk, grace.pk])
    mark_read(ada, [Notification.objects.get(title="One").pk])
    clients = {user.pk: DomainReplica(user.pk) for user in (ada, grace)}
    assign_revisions([ada.pk, grace.pk])
    for client in clients.values():
        client.catch_up()
    return clients


def deliver(clients):
    """Assign revisions, apply them live, and check each client against the database and a second one that replays."""
    before = {pk: client.copy() for pk, client in clients.items()}
    for revision in assign_revisions(clients):
        clients[revision.user_id].apply_revision(revision)
    for pk, client in clients.items():
        before[pk].catch_up()
        assert client == before[pk] == fresh_read(pk)
        check_counts(pk)


def titles(user, **fields):
    return sorted(user.notifications.filter(**fields).values_list("title", flat=True))


@pytest.mark.parametrize("writer", WRITERS)
def test_both_inboxes_are_right(writer, clients, ada, grace):
    writer(ada.notifications.all(), grace)
    deliver(clients)
    assert titles(ada) == []
    assert titles(grace) == ["Hers", "One", "Three", "Two"]
    assert titles(grace, is_read=True) == ["One"]
    mark_read(grace)
    deliver(clients)
    assert inboxes.state(grace.pk).unread_count == 0


@pytest.mark.parametrize("writer", [by_update, by_update_of_the_id, by_save, by_save_of_one_field])
def test_both_owners_are_announced(writer, clients, ada, grace, announced):
    writer(ada.notifications.filter(title="Two"), grace)
    users = [carried["user_ids"] for name, carried in announced if name == "notifications_pending"]
    assert set().union(*users) == {ada.pk, grace.pk}


def test_without_the_triggers_the_counts_go_wrong(clients, ada, grace):
    """Negative control."""
    triggers.drop(connection)
    try:
        by_sql(ada.notifications.all(), grace)
        with pytest.raises(AssertionError):
            deliver(clients)
    finally:
        triggers.create(connection)


def test_there_and_back_again(clients, ada, grace):
    by_update(ada.notifications.all(), grace)
    by_update(grace.notifications.all(), ada)
    deliver(clients)
    assert titles(ada) == ["Hers", "One", "Three", "Two"]
    by_update(ada.notifications.all(), grace)
    deliver(clients)
    by_sql(grace.notifications.all(), ada)
    deliver(clients)
    assert titles(ada) == ["Hers", "One", "Three", "Two"]


def test_what_else_the_update_changes_is_the_new_owners(clients, ada, grace):
    ada.notifications.filter(title="Two").update(user=grace, is_read=True, title="Second")
    deliver(clients)
    assert titles(grace, is_read=True) == ["Second"]
    assert Notification.everything.get(user=ada, removed_at__isnull=False).title == "Two"


def test_a_row_that_is_pending_moves_too(clients, ada, grace):
    notify(ada, "announcement", "Four")
    by_sql(ada.notifications.filter(title="Four"), grace)
    deliver(clients)
    assert titles(grace) == ["Four", "Hers"]


def test_a_tombstone_stays_where_it_is(clients, ada, grace):
    row = ada.notifications.get(title="Two")
    remove(ada, [row.pk])
    deliver(clients)
    by_sql(Notification.everything.filter(pk=row.pk), grace)
    deliver(clients)
    assert titles(grace) == ["Hers"]
    assert Notification.everything.get(pk=row.pk).user == ada


def test_moved_and_removed_at_once_is_removed(clients, ada, grace):
    sql(
        "UPDATE messaging_notification SET user_id = %s, removed_at = created_at WHERE user_id = %s",
        grace.pk,
        ada.pk,
    )
    deliver(clients)
    assert (titles(ada), titles(grace)) == ([], ["Hers"])


@pytest.mark.parametrize("writer", [by_update, by_save, by_sql])
def test_of_the_same_dedupe_key_both_stay_and_one_keeps_the_key(writer, clients, ada, grace):
    notify(ada, "announcement", "Ada's", dedupe_key="once")
    notify(grace, "announcement", "Grace's", dedupe_key="once")
    notify(ada, "announcement", "Another", dedupe_key="another")
    deliver(clients)
    writer(ada.notifications.filter(dedupe_key__isnull=False), grace)
    deliver(clients)
    assert titles(grace) == ["Ada's", "Another", "Grace's", "Hers"]
    assert grace.notifications.filter(dedupe_key="once").count() == 1
    assert notify(grace, "announcement", "Again", dedupe_key="once") is None
    assert notify(grace, "announcement", "Again", dedupe_key="another") is None
    assert notify(ada, "announcement", "Again", dedupe_key="once") is None


def test_two_owners_swapped_in_one_statement(clients, ada, grace):
    notify(ada, "announcement", "Ada's", dedupe_key="once")
    notify(grace, "announcement", "Grace's", dedupe_key="once")
    deliver(clients)
    sql("UPDATE messaging_notification SET user_id = %s - user_id", ada.pk + grace.pk)
    deliver(clients)
    assert (titles(ada), titles(grace)) == (["Grace's", "Hers"], ["Ada's", "One", "Three", "Two"])


def test_a_row_of_another_id_is_another_row(clients, ada, grace):
    old = ada.notifications.get(title="Two").pk
    sql("UPDATE messaging_notification SET id = id + 1000 WHERE id = %s", old)
    deliver(clients)
    assert titles(ada) == ["One", "Three", "Two"]
    assert ada.notifications.get(title="Two").pk == old + 1000
    sql("UPDATE messaging_notification SET id = id + 1000, user_id = %s WHERE id = %s", grace.pk, old + 1000)
    deliver(clients)
    assert grace.notifications.get(title="Two").pk == old + 2000


def test_a_user_whose_own_id_changes_keeps_the_rows(clients, ada, grace):
    with transaction.atomic():
        for table, column in (
            ("auth_user", "id"),
            ("messaging_notification", "user_id"),
            ("messaging_inbox", "user_id"),
            ("messaging_userprofile", "user_id"),
        ):
            sql(f"UPDATE {table} SET {column} = %s WHERE {column} = %s", ada.pk + 1000, ada.pk)
    assert not Notification.everything.filter(removed_at__isnull=False).exists()
    check_counts(ada.pk + 1000)
    ada.pk = ada.id = ada.pk + 1000
    assert titles(ada) == ["One", "Three", "Two"]
    assert Inbox.objects.get(user=ada).unread_count == 2


@pytest.mark.parametrize("is_read", [True, False])
def test_a_read_mark_set_in_sql_is_delivered(clients, ada, is_read):
    sql("UPDATE messaging_notification SET is_read = %s", is_read)
    deliver(clients)
    assert inboxes.state(ada.pk).unread_count == (0 if is_read else 3)


def test_a_removal_in_sql_is_delivered(clients, ada, grace):
    sql("UPDATE messaging_notification SET removed_at = created_at")
    deliver(clients)
    assert (titles(ada), titles(grace)) == ([], [])
    sql("UPDATE messaging_notification SET removed_at = NULL")
    deliver(clients)
    assert titles(grace) == ["Hers"]


def test_the_old_owner_can_be_deleted_in_the_same_transaction(clients, ada, grace):
    with transaction.atomic():
        by_update(ada.notifications.all(), grace)
        ada.delete()
    del clients[ada.pk or next(iter(clients))]
    deliver(clients)
    assert titles(grace) == ["Hers", "One", "Three", "Two"]


# --- The triggers themselves ------------------------------------------------------------------------------------


def test_migrate_creates_them_and_a_check_misses_them():
    databases = {"databases": ["default"]}
    assert missing_triggers(**databases) == []
    triggers.drop(connection)
    try:
        assert [warning.id for warning in missing_triggers(**databases)] == ["messaging.W001"]
        assert missing_triggers() == []
        call_command("migrate", verbosity=0)
        assert missing_triggers(**databases) == []
    finally:
        triggers.create(connection)


@pytest.mark.parametrize("before", ["0013", "0016"])
def test_a_table_that_was_migrated_back_has_none_that_name_what_it_lacks(ada, before):
    pk = notify(ada, "announcement", "Hello").pk
    call_command("migrate", "messaging", before, verbosity=0)
    try:
        assert not triggers.exist(connection)
        # Each is what a trigger would act on.
        sql(f"UPDATE {triggers.TABLE} SET is_read = %s WHERE id = %s", True, pk)
        sql(f"UPDATE {triggers.TABLE} SET id = %s WHERE id = %s", pk + 1000, pk)
    finally:
        call_command("migrate", verbosity=0)
    assert triggers.exist(connection)


def test_a_table_that_is_made_anew_has_them_after_migrate():
    """As SQLite does it for most changes of a column; and a table that they name can be."""
    call_command("migrate", "messaging", "0005", verbosity=0)
    call_command("migrate", verbosity=0)
    assert triggers.exist(connection)
    with connection.schema_editor() as editor:
        if isinstance(editor, SqliteEditor):
            editor._remake_table(Notification)  # type: ignore[attr-defined]
    assert triggers.exist(connection) == (connection.vendor == "postgresql")
    call_command("migrate", verbosity=0)
    assert triggers.exist(connection)
