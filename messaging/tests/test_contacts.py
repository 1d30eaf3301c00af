import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from messaging import contacts
from messaging.models import Contact, Message
from messaging.tests.transactions import Undo

pytestmark = pytest.mark.django_db(transaction=True)


def contacts_of(user):
    """The names of those whose presence the user sees."""
    return sorted(seen.user.username for seen in contacts.presence_seen_by([user.pk])[user.pk])


def send(sender, receiver):
    return Message.objects.create(sender=sender, receiver=receiver, content="Hello!")


def test_two_users_who_meet_are_contacts_of_each_other(ada, grace, linus, announced):
    contacts.meet(grace.pk, ada.pk)
    assert contacts_of(ada) == ["grace"]
    assert contacts_of(grace) == ["ada"]
    assert contacts_of(linus) == []
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
    assert contacts_of(ada) == []
    assert announced == []


def test_the_viewers_of_many_are_one_query_and_so_is_what_they_see(ada, grace, linus, margaret):
    contacts.meet(ada.pk, grace.pk)
    contacts.meet(linus.pk, ada.pk)
    asked = [ada.pk, grace.pk, margaret.pk]
    with CaptureQueriesContext(connection) as captured:
        viewers = contacts.viewers_of(asked)
    assert len(captured) == 1
    found = {pk: {shift: sorted(listed) for shift, listed in by.items()} for pk, by in viewers.items()}
    assert found == {ada.pk: {0: sorted([grace.pk, linus.pk])}, grace.pk: {0: [ada.pk]}, margaret.pk: {}}
    with CaptureQueriesContext(connection) as captured:
        seen = contacts.presence_seen_by(asked)
    assert len(captured) == 1
    names = {pk: sorted(presence.user.username for presence in listed) for pk, listed in seen.items()}
    assert names == {ada.pk: ["grace", "linus"], grace.pk: ["ada"], margaret.pk: []}


# --- By an answer ------------------------------------------------------------------------------------------------


@pytest.fixture
def by_an_answer(settings):
    settings.REALTIME_CONTACTS = "answer"


def test_with_the_setting_one_message_makes_no_contacts_and_an_answer_does(by_an_answer, ada, grace):
    send(ada, grace)
    send(ada, grace)
    assert contacts_of(ada) == contacts_of(grace) == []
    send(grace, ada)
    assert contacts_of(ada) == ["grace"]
    assert contacts_of(grace) == ["ada"]


def test_contacts_of_before_the_setting_stay_contacts(settings, ada, grace, linus):
    send(ada, grace)
    settings.REALTIME_CONTACTS = "answer"
    send(ada, grace)
    send(ada, linus)
    assert contacts_of(ada) == ["grace"]
    settings.REALTIME_CONTACTS = "message"
    assert contacts_of(ada) == ["grace"]
    # They meet with their next message.
    send(ada, linus)
    assert contacts_of(ada) == ["grace", "linus"]


def test_of_two_first_messages_at_once_one_is_the_answer(by_an_answer, ada, grace, threads):
    threads.together(lambda: send(ada, grace), lambda: send(grace, ada))
    assert contacts_of(ada) == ["grace"]
