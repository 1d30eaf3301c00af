"""The admin's read-only pages of server processes and connections."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import trans_real

from conftest import PASSWORD
from messaging.tests.admin_client import AdminClient, admin_url
from messaging.tests.marked_texts import Everything, untranslated
from realtime.models import Connection, ServerProcess

LISTS = ["realtime_connection", "realtime_serverprocess"]


@pytest.fixture
def admin(db, cheap_passwords):
    return AdminClient(User.objects.create_superuser("root", "root@example.org", PASSWORD))


def populate(start, count):
    numbers, until = range(start, start + count), timezone.now() + timedelta(minutes=1)
    users = User.objects.bulk_create(User(username=f"user{number:03}") for number in numbers)
    processes = ServerProcess.objects.bulk_create(
        ServerProcess(name=f"host {number}", lease_until=until) for number in numbers
    )
    Connection.objects.bulk_create(
        Connection(id=f"{user.pk:032x}", process=process, user=user, login_hash="x")
        for user, process in zip(users, processes, strict=True)
    )


@pytest.mark.parametrize("name", LISTS)
def test_every_list_and_every_row_has_a_page(admin, name):
    populate(0, 3)
    response = admin.client.get(reverse(f"admin:{name}_changelist"))
    rows = response.context["cl"].result_list
    assert len(rows) == 3
    for row in rows:
        admin.page(row)


@pytest.mark.parametrize("model", [ServerProcess, Connection])
def test_every_page_is_in_the_readers_language(model, admin, monkeypatch):
    monkeypatch.setattr(trans_real.translation("de"), "_catalog", Everything())
    populate(0, 1)
    User.objects.filter(username="user000").update(username="ada")
    ServerProcess.objects.update(name="1", id=1)
    Connection.objects.update(process=1)
    admin.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    for html in (admin.list(f"realtime_{model._meta.model_name}"), admin.page(model.objects.get())):
        assert "⟦" in html
        assert untranslated(html) == []


@pytest.mark.parametrize("name", LISTS)
def test_a_list_takes_as_many_queries_for_1000_rows_as_for_10(admin, name):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            admin.list(name)
        return len(captured)

    populate(0, 10)
    admin.list(name)
    few = queries()
    populate(10, 990)
    many = queries()
    print(f"queries of {name} at 10 rows {few} and at 1,000 {many}")
    assert many == few <= 8


def test_connections_are_found_by_their_user_and_name_their_process(admin):
    populate(0, 3)
    shown = admin.list("realtime_connection", q="user001")
    assert "host 1" in shown
    assert "host 2" not in shown
    assert shown.count("icon-yes") == 1
    ServerProcess.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert "icon-no" in admin.list("realtime_connection", q="user001")


def test_a_process_says_whether_its_lease_runs_and_how_many_connections_it_has(admin):
    populate(0, 1)
    ServerProcess.objects.create(name="dead", lease_until=timezone.now() - timedelta(seconds=1))
    shown = admin.list("realtime_serverprocess")
    assert shown.count("icon-yes") == shown.count("icon-no") == 1
    assert '<td class="field-number_of_connections">1</td>' in shown


def test_nothing_can_be_added_changed_or_deleted(admin):
    populate(0, 1)
    for thing in (Connection.objects.get(), ServerProcess.objects.get()):
        assert admin.client.post(admin_url(thing, "change"), {"name": "x"}).status_code == 403
        assert admin.client.post(admin_url(thing, "delete"), {"post": "yes"}).status_code == 403
        assert (
            admin.client.get(reverse(f"admin:{thing._meta.label_lower.replace('.', '_')}_add")).status_code
            == 403
        )
    assert admin.actions("realtime_connection") == []


def test_a_user_who_is_connected_can_be_deleted(admin):
    populate(0, 1)
    user = User.objects.get(username="user000")
    admin.post(admin_url(user, "delete"), post="yes")
    assert not User.objects.filter(pk=user.pk).exists()
    assert not Connection.objects.exists()
