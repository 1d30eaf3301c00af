import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from messaging import contacts
from messaging.models import Contact
from messaging.tests.transactions import Undo

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_users_who_meet_are_contacts_of_each_other(ada, grace, linus, announced):
    contacts.meet(grace.pk, ada.pk)
    assert contacts.contacts_of(ada.pk) == [grace.pk]
    assert contacts.contacts_of(grace.pk) == [ada.pk]
    assert contacts.contacts_of(linus.pk) == []
    # To their other contacts nothing has changed.
    assert announced == [("views_changed", {"views": [(ada.pk, grace.pk), (grace.pk, ada.pk)]})]


def test_meeting_again_changes_nothing(ada, grace, announced):
    contacts.meet(grace.pk, ada.pk)
    announced.clear()
    contacts.meet(ada.pk, grace.pk)
    contacts.meet(ada.pk, ada.pk)
    assert Contact.objects.count() == 1
    assert announced == []


def test_meeting_at_once_makes_one_contact(ada, grace, threads):
    threads.together(*[lambda: contacts.meet(ada.pk, grace.pk), lambda: contacts.meet(grace.pk, ada.pk)] * 3)
    assert Contact.objects.count() == 1


def test_a_rolled_back_meeting_did_not_happen(ada, grace, announced):
    with pytest.raises(Undo), transaction.atomic():
        contacts.meet(ada.pk, grace.pk)
        raise Undo
    assert contacts.contacts_of(ada.pk) == []
    assert announced == []


def test_the_contacts_of_many_are_one_query(ada, grace, linus, margaret):
    contacts.meet(ada.pk, grace.pk)
    contacts.meet(linus.pk, ada.pk)
    with CaptureQueriesContext(connection) as captured:
        found = contacts.contacts_of_many([ada.pk, grace.pk, margaret.pk])
    assert len(captured) == 1
    assert {pk: sorted(listed) for pk, listed in found.items()} == {
        ada.pk: sorted([grace.pk, linus.pk]),
        grace.pk: [ada.pk],
        margaret.pk: [],
    }
