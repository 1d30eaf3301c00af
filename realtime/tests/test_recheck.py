import pytest
from django.conf import settings as project_settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from realtime import auth
from realtime.db_threads import in_thread
from realtime.tests.client import (
    notify_titles,
)

pytestmark = pytest.mark.django_db(transaction=True)


def sign_out(key, user):
    client = Client()
    client.cookies[project_settings.SESSION_COOKIE_NAME] = key
    assert client.delete("/api/v1/session").status_code == 204


def deactivate(key, user):
    user.is_active = False
    user.save()


def change_password(key, user):
    user.set_password("another")
    user.save()


def delete(key, user):
    user.delete()


ENDS = [sign_out, deactivate, change_password, delete]


@pytest.mark.parametrize("end", ENDS)
async def test_a_login_that_ends_closes_its_sockets_at_once_with_4503(server, ada, grace, settings, end):
    settings.REALTIME_RECHECK_SECONDS = 1_000_000
    tabs = [await server.connect(ada) for _ in range(2)]
    other = await server.connect(grace)
    await in_thread(end, await server.session(ada), ada)
    for tab in tabs:
        assert await tab.close_code() == 4503
    assert await other.received_so_far() == []


async def test_another_login_of_the_same_user_stays(server, ada, settings):
    settings.REALTIME_RECHECK_SECONDS = 1_000_000
    first = await server.connect(ada)
    key = server.sessions.pop(ada.pk)
    second = await server.connect(ada)
    await in_thread(sign_out, key, ada)
    assert await first.close_code() == 4503
    assert await second.received_so_far() == []


async def test_an_ended_login_without_a_signal_is_found_by_the_recheck_in_one_batch(
    server, ada, grace, linus, settings
):
    settings.REALTIME_RECHECK_SECONDS = 1_000_000
    sockets = {user: await server.connect(user) for user in (ada, grace, linus)}

    def quietly():
        Session.objects.filter(session_key=server.sessions[ada.pk]).delete()
        User.objects.filter(pk=grace.pk).update(is_active=False)

    settings.REALTIME_RELAY = False
    await in_thread(quietly)
    await server.hub.sweeps.recheck_all()
    assert await sockets[ada].close_code() == 4503
    assert await sockets[grace].close_code() == 4503
    assert await sockets[linus].received_so_far() == []


async def test_the_recheck_comes_by_itself(server, ada, settings):
    settings.REALTIME_RECHECK_SECONDS = 0.1
    settings.REALTIME_RELAY = False
    socket = await server.connect(ada)
    await in_thread(Session.objects.all().delete)
    assert await socket.close_code() == 4503


async def test_a_save_that_ends_no_login_closes_nothing(server, ada):
    socket = await server.connect(ada)

    def save():
        ada.first_name = "Ada"
        ada.save()

    await in_thread(save)
    await in_thread(notify_titles, ada, "After")
    await socket.until_revision(1)
    assert socket.titles == ["After"]
    assert await in_thread(auth.valid_logins, [server.sessions[ada.pk]])
