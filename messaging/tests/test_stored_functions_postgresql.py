"""The stored functions find rows by indexes, whatever a table's statistics are when a session makes its plans."""

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from messaging import numbered_insertion, stored_functions, users
from messaging.drafts import Draft
from messaging.models import Block, Inbox, Notification
from messaging.notifications import notify_many

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("numbered")]

TABLES = [model._meta.db_table for model in (Notification, Inbox, Block, users.model())]
FUNCTIONS = [stored_functions.INSERT, stored_functions.NUMBER]


def execute(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def scans():
    """By table, how often this transaction has read it from end to end."""
    return {
        table: execute("SELECT pg_stat_get_xact_numscans(CAST(%s AS regclass))", table)[0][0]
        for table in TABLES
    }


def call(function, ada, grace):
    if function == stored_functions.INSERT:
        row = Draft("announcement", "Hello", actor=grace).row(ada)
        assert numbered_insertion._execute([row], unless_blocked=True)
    else:
        assert stored_functions.number([ada.pk, grace.pk], 100)


def change(function, clause):
    [(signature,)] = execute("SELECT oid::regprocedure FROM pg_proc WHERE proname = %s", function)
    execute(f"ALTER FUNCTION {signature} {clause}")


@pytest.fixture
def remade():
    yield
    stored_functions.create(connection)
    assert stored_functions.exist(connection)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("clause", [None, "RESET enable_seqscan"])
def test_no_table_is_read_from_end_to_end(ada, grace, remade, function, clause):
    """A plan made for a small table would be kept while it grows. The control: without the function's own setting."""
    notify_many([ada, grace], "announcement", "Hello")
    Notification.everything.mark_pending()
    execute("ANALYZE")
    if clause is not None:
        change(function, clause)
    with transaction.atomic():
        before = scans()
        call(function, ada, grace)
        assert (scans() == before) is (clause is None)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_with_other_settings_is_made_again(remade, function):
    for clause in ("RESET enable_seqscan", "SET lock_timeout = '7s'", "RESET ALL"):
        change(function, clause)
        assert not stored_functions.exist(connection)
        call_command("migrate", "messaging", verbosity=0)
        assert stored_functions.exist(connection)
