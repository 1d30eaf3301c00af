"""Users' keys of any type: on the wire, in names, in SQL. Projects with such keys: tests/hosts/test_user_models.py."""

import re
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import NotSupportedError, connection, models, transaction

from messaging import checks, notifications, references, users
from messaging.exceptions import InvalidNotification
from messaging.models import Contact, Inbox, Message
from messaging.orm.code_points import CodePoints
from messaging.orm.querysets import batch_after

UUID = uuid.UUID("7D444840-9DC0-11D1-B245-5FFDCE74FAD2")
AWKWARD = "o'b/é%s \"?#&+;\\\n€😀.."
BY_FIELD = [
    (models.AutoField(), 7, 7),
    (models.BigAutoField(), -1, -1),
    (models.BigIntegerField(), 2**53 - 1, 2**53 - 1),
    (models.BigIntegerField(), 2**53, "9007199254740992"),
    (models.BigIntegerField(), -(2**53), "-9007199254740992"),
    (models.UUIDField(), UUID, str(UUID)),
    (models.CharField(max_length=255), AWKWARD, AWKWARD),
    (models.CharField(max_length=255), "7", "7"),
    (models.CharField(max_length=255), "x" * 255, "x" * 255),
]


@pytest.fixture
def key_field(monkeypatch):
    def use(field):
        field.set_attributes_from_name("id")
        field.primary_key = True
        monkeypatch.setattr(users, "key_field", lambda: field)

    return use


@pytest.mark.parametrize(("field", "key", "wire"), BY_FIELD)
def test_a_key_goes_to_the_wire_and_back(key_field, field, key, wire):
    key_field(field)
    assert users.wire_id(key) == wire
    assert type(users.wire_id(key)) is type(wire)
    assert users.key_from_wire(wire) == key
    assert users.wire_id(wire) == wire
    assert users.key_of(str(wire)) == key
    assert users.as_keys([str(key)]) == [key]
    assert [users.from_db()(value) for value in users.to_db([key, None])] == [key, None]


@pytest.mark.parametrize(
    ("field", "wire"),
    [
        (models.BigIntegerField(), "7"),
        (models.BigIntegerField(), "x"),
        (models.BigIntegerField(), True),
        (models.BigIntegerField(), str(2**63)),
        (models.UUIDField(), str(UUID).upper()),
        (models.UUIDField(), "7"),
        (models.CharField(), "a\0"),
        (models.CharField(), "\ud800"),
        (models.CharField(), None),
        (models.CharField(), ["a"]),
    ],
)
def test_what_is_no_id_is_refused(key_field, field, wire):
    key_field(field)
    with pytest.raises(TypeError):
        users.key_from_wire(wire)


def test_the_slug_of_a_key_is_short_and_fits_into_any_name():
    assert users.slug(7) == "7"
    keys = ["Ada", "ada", "e\u0301", "é", "7", "x" * 255, "x" * 254, AWKWARD, "", UUID]
    slugs = {users.slug(key) for key in keys}
    assert len(slugs) == len(keys)
    assert all(re.fullmatch(r"[a-z0-9]{40}", slug) for slug in slugs)


def test_a_key_may_be_given_as_json_has_it_but_a_number_not_as_a_text(key_field, monkeypatch):
    with pytest.raises(InvalidNotification):
        references.user_id("7")
    monkeypatch.setattr(users, "resolved", lambda key: models.UUIDField())
    assert references.user_id(str(UUID)) == references.user_id(UUID) == UUID
    with pytest.raises(InvalidNotification):
        references.user_id("ada")
    monkeypatch.setattr(users, "resolved", lambda key: models.CharField(max_length=5))
    assert references.user_id("ada") == "ada"
    for wrong in ("", "too long", "a\0", "\ud800", 7):
        with pytest.raises(InvalidNotification):
            references.user_id(wrong)


@pytest.mark.django_db
def test_rows_are_read_in_batches_from_the_first_key_on():
    for name in ("ada", "grace", "linus"):
        User.objects.create(username=name)
    User.objects.create(pk=-1, username="anonymous")
    keys = list(Inbox.objects.order_by("user_id").values_list("user_id", flat=True))
    assert keys[0] == -1
    read, last = [], None
    while batch := batch_after(Inbox.objects.all(), last, "user_id", 2):
        read += batch
        last = read[-1]
    assert read == keys


@pytest.mark.parametrize(
    ("column", "expected"), [("high", '"high_id"'), ("text", '"text" COLLATE "C"'), ("uuid", '"uuid"')]
)
def test_pairs_are_in_the_order_of_code_points_whatever_the_collation_is(column, expected):
    field: Any = {"text": models.CharField(max_length=9), "uuid": models.UUIDField()}.get(column)
    if field is None:
        field = Contact._meta.get_field(column)
    else:
        field.set_attributes_from_name(column)
    expression = CodePoints(models.expressions.Col("", field))
    if connection.vendor == "postgresql":
        sql, _ = connection.ops.compiler("SQLCompiler")(
            Contact.objects.all().query, connection, None
        ).compile(expression)
        assert sql == expected
    else:
        # SQLite compares texts so.
        sql, _ = expression.as_sql(
            Contact.objects.all().query.get_compiler(connection=connection), connection
        )
        assert sql == expected.partition(" ")[0]


@pytest.mark.django_db(transaction=True)
def test_a_message_may_be_made_with_ids_as_texts():
    ada, grace = (User.objects.create(username=name) for name in ("ada", "grace"))
    Message.objects.create(sender_id=str(ada.pk), receiver_id=str(grace.pk), content="Hello")
    assert Contact.objects.get().low_id == min(ada.pk, grace.pk)
    [revision] = notifications.assign_revisions([grace.pk])
    assert [row.actor.id for row in revision.added] == [ada.pk]


@pytest.mark.django_db
@pytest.mark.parametrize("collation", [None, "NOCASE"])
def test_keys_compared_without_case_are_an_error(key_field, collation):
    if connection.vendor == "postgresql":
        collation = collation and "loose"
        if collation:
            loose = "CREATE COLLATION loose (provider=icu, locale='und-u-ks-level1', deterministic=false)"
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(loose)
            except NotSupportedError:
                # This server was built without the only provider of such collations.
                return
    key_field(models.CharField(max_length=1, db_collation=collation))
    found = checks.user_keys_are_exact(databases=["default"])
    assert [error.id for error in found] == (["messaging.E008"] if collation else [])


def test_without_text_keys_or_a_database_nothing_is_compared(key_field):
    assert checks.user_keys_are_exact(databases=["default"]) == []
    key_field(models.CharField(max_length=1, db_collation="NOCASE"))
    assert checks.user_keys_are_exact() == []
