import io
from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from config.demo.people import LABEL, PEOPLE, people
from messaging import tokens
from messaging.models import ApiToken, Message, Notification

pytestmark = pytest.mark.django_db


def seed(*arguments):
    out = io.StringIO()
    call_command("seed_demo", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def demo(settings):
    settings.DEMO = True


def test_creates_four_people_and_a_superuser_and_prints_names_and_password():
    printed = seed()
    assert {user.username: user.get_full_name() for user in people()} == PEOPLE
    assert people().get(username="ada").email == "ada@example.com"
    admin = User.objects.get(is_superuser=True)
    assert admin.is_staff
    password = printed.split()[-1]
    for name in (*PEOPLE, admin.username):
        assert name in printed
        assert authenticate(username=name, password=password)


def test_the_people_have_exchanged_messages_some_of_them_read():
    seed()
    assert Message.objects.count() > 4
    assert 0 < Message.objects.filter(is_read=True).count() < Message.objects.count()
    assert Notification.objects.filter(notification_type="message_read").exists()
    for user in people():
        assert user.sent_messages.exists()
        assert user.received_messages.exists()


def test_a_second_run_changes_nothing():
    seed()
    User.objects.filter(username="ada").update(first_name="Augusta")
    before = list(User.objects.values()), list(Message.objects.values())
    seed()
    assert (list(User.objects.values()), list(Message.objects.values())) == before


def test_deletes_the_pages_tokens_older_than_a_day(ada):
    tokens.make(LABEL, user=ada)
    kept = [tokens.make(name, user=ada)[0] for name in (LABEL, "my phone")]
    ApiToken.objects.exclude(pk=kept[0].pk).update(created_at=Now() - timedelta(days=2))
    seed()
    assert list(ApiToken.objects.order_by("pk")) == kept


def test_without_demo_it_creates_no_known_passwords_unless_forced(settings):
    settings.DEMO = False
    with pytest.raises(CommandError, match="DEMO is off"):
        seed()
    assert not User.objects.exists()
    seed("--force")
    assert User.objects.count() == 5


def test_it_explains_itself(capsys):
    with pytest.raises(SystemExit) as ended:
        call_command("seed_demo", "--help")
    assert ended.value.code == 0
    assert "DEMO" in capsys.readouterr().out
