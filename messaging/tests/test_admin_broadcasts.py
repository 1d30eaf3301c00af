"""Sending to everybody or a group in the admin: counted first, then in the background, with progress and cancel."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.urls import reverse

from messaging import broadcast_jobs
from messaging.models import BroadcastJob, Notification
from messaging.tests.test_admin_sending import URL, confirm, form

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """How often a thread was asked for: the tests send by themselves."""
    calls = []
    monkeypatch.setattr(broadcast_jobs, "start_due", lambda: calls.append(1))
    return calls


@pytest.fixture
def crowd(db):
    return User.objects.bulk_create(User(username=f"user {number}") for number in range(1200))


def page_of(job, what="change"):
    return reverse(f"admin:messaging_broadcastjob_{what}", args=[job.pk])


def test_everybody_is_counted_confirmed_and_sent_in_the_background(admin, root, crowd, started):
    page = admin.post(URL, **form(to="everybody"))
    assert "To 1,201 users" in page
    assert "all active users" in page
    assert not BroadcastJob.objects.exists()
    page = confirm(admin, page)
    job = BroadcastJob.objects.get()
    assert started
    assert not Notification.objects.exists()
    assert '<progress max="1201" value="0"></progress> 0 of 1,201 users' in page
    assert '<meta http-equiv="refresh"' in page
    assert 'value="Cancel"' in page
    entry = LogEntry.objects.get()
    assert (entry.user, entry.change_message) == (root, "Sent to all active users: 1,201 users.")
    assert job.sent_by == "root"

    call_command("send_broadcasts", verbosity=0)
    assert Notification.objects.count() == 1201
    page = admin.page(job)
    assert "1,201 of 1,201 users" in page
    assert "http-equiv" not in page
    assert 'value="Cancel"' not in page


def test_a_button_that_is_pressed_twice_sends_once(admin, ada):
    page = admin.post(URL, **form(to="everybody"))
    confirm(admin, page)
    assert "it is not sent twice" in confirm(admin, page)
    assert BroadcastJob.objects.count() == LogEntry.objects.count() == 1


def test_a_group_is_offered_by_its_name(admin, ada, grace):
    group = Group.objects.create(name="Editors")
    group.user_set.add(ada)
    assert "the group “Editors”" in admin.client.get(URL).content.decode()
    page = admin.post(URL, **form(to=f"group:{group.pk}"))
    assert "To 1 user" in page
    confirm(admin, page)
    broadcast_jobs.run_due()
    assert [row.user for row in Notification.objects.all()] == [ada]


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"to": "everybody", "usernames": "ada"}, "Either choose users, or a group or everybody."),
        ({"to": "group:999999"}, "Select a valid choice."),
        ({"to": "group:x"}, "Select a valid choice."),
        ({"to": "everybody", "title": ""}, "A title is needed"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_sentence(admin, ada, fields, refusal):
    assert refusal in admin.post(URL, **form(**fields))


def test_a_group_without_active_users_is_refused(admin, ada):
    group = Group.objects.create(name="Editors")
    assert "It has no active users." in admin.post(URL, **form(to=f"group:{group.pk}"))


def test_it_can_be_cancelled_and_resumed(admin, ada):
    confirm(admin, admin.post(URL, **form(to="everybody")))
    job = BroadcastJob.objects.get()
    page = admin.post(page_of(job, "cancel"))
    assert "Cancelled." in page
    assert 'value="Resume"' in page
    assert "Nothing was changed" in admin.post(page_of(job, "cancel"))
    broadcast_jobs.run_due()
    assert not Notification.objects.exists()
    assert "It goes on." in admin.post(page_of(job, "resume"))
    broadcast_jobs.run_due()
    assert Notification.objects.count() == 2


def test_only_who_may_send_may_see_cancel_and_resume(admin, staff, ada):
    confirm(admin, admin.post(URL, **form(to="everybody")))
    job = BroadcastJob.objects.get()
    for what in ("cancel", "resume"):
        assert admin.client.get(page_of(job, what)).status_code == 405
    other = staff("view_message")
    assert other.client.get(page_of(job)).status_code == 403
    for what in ("cancel", "resume"):
        assert other.client.post(page_of(job, what)).status_code == 403
    assert other.client.post(URL, form(to="everybody", confirmed="yes")).status_code == 403
    job.refresh_from_db()
    assert job.state == "waiting"


def test_a_page_that_is_looked_at_takes_up_what_a_process_has_left(admin, ada, started):
    confirm(admin, admin.post(URL, **form(to="everybody")))
    started.clear()
    admin.page(BroadcastJob.objects.get())
    assert started
