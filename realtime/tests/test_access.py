"""Sockets are closed when their login ends, by a push or by the periodic recheck. No frame follows."""

import functools
import time
from datetime import timedelta

import pytest
from django.conf import settings as project_settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from messaging import sessions, tokens
from messaging.api.throttles import sign_outs
from realtime.auth import TOKEN_PREFIX, issue_ticket
from realtime.db_threads import in_thread
from realtime.tests import layers
from realtime.tests.client import TIMEOUT, notify_titles

pytestmark = pytest.mark.django_db(transaction=True)


def sign_out(key, user):
    client = Client()
    client.cookies[project_settings.SESSION_COOKIE_NAME] = key
    assert client.delete("/api/v1/session").status_code == 204


def sign_out_everywhere(key, user):
    sign_outs.clear()
    client = Client()
    client.cookies[project_settings.SESSION_COOKIE_NAME] = key
    assert client.delete("/api/v1/sessions").status_code == 204


def expire(key, user):
    Session.objects.filter(session_key=key).update(expire_date=timezone.now() - timedelta(seconds=1))


def change_password(key, user):
    user.set_password("another")
    user.save()


def deactivate(key, user):
    user.is_active = False
    user.save()


def deactivate_in_the_table(key, user):
    User.objects.filter(pk=user.pk).update(is_active=False)


def delete(key, user):
    user.delete()


ENDS = [
    sign_out,
    sign_out_everywhere,
    expire,
    change_password,
    deactivate,
    deactivate_in_the_table,
    delete,
]
# These send no signal: with a layer, too, only the recheck finds them.
WITHOUT_SIGNAL = [expire, deactivate_in_the_table]


@pytest.mark.parametrize("layer", ["with a layer", "without"])
@pytest.mark.parametrize("end", ENDS)
async def test_a_login_that_ends_closes_its_sockets_and_nothing_follows(
    server, ada, grace, settings, end, layer
):
    if layer == "without":
        settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    pushed = layer == "with a layer" and end not in WITHOUT_SIGNAL
    settings.REALTIME_RECHECK_SECONDS = 1_000_000 if pushed else 0.05
    settings.REALTIME_SWEEP_SECONDS = 0.1
    tabs = [await server.connect(ada) for _ in range(2)]
    bystander = await server.connect(grace)

    began = time.monotonic()
    await in_thread(end, await server.session(ada), ada)
    for tab in tabs:
        assert await tab.close_code() == 4503
    print(f"{end.__name__}, {layer}: closed after {(time.monotonic() - began) * 1000:.0f} ms")

    # What is sent from here on reaches other sockets, and not these.
    if end is not delete:
        await in_thread(notify_titles, ada, "After the end")
    await in_thread(notify_titles, grace, "After the end")
    await bystander.until_revision(1)
    for tab in tabs:
        assert tab.communicator.output_queue.empty()
        assert "After the end" not in tab.titles
    assert await bystander.received_so_far() == []


@pytest.mark.parametrize("end", [sign_out, sign_out_everywhere])
@pytest.mark.parametrize("engine", ["cache", "file"])
async def test_where_sessions_are_kept_elsewhere_their_end_closes_the_sockets_at_once_too(
    server, ada, grace, settings, tmp_path, engine, end
):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.REALTIME_RECHECK_SECONDS = 1_000_000
    tab, bystander = await server.connect(ada), await server.connect(grace)
    await in_thread(end, await server.session(ada), ada)
    assert await tab.close_code() == 4503
    assert await bystander.received_so_far() == []


async def test_signing_out_everywhere_closes_every_socket_of_the_user_and_no_other(
    server, ada, grace, settings
):
    settings.REALTIME_RECHECK_SECONDS = 1_000_000
    first = await server.connect(ada)
    del server.sessions[ada.pk]
    second = await server.connect(ada)
    token, _ = await in_thread(lambda: tokens.make("A program", user=ada))
    ticket = await in_thread(issue_ticket, ada, f"{TOKEN_PREFIX}{token.pk}")
    third = server.socket(subprotocols=["notifications.v1", f"ticket.{ticket}"])
    await third.open()
    await third.until("synced")
    other = await server.connect(grace)
    assert await in_thread(sessions.end_all, ada) == 3
    for socket in (first, second, third):
        assert await socket.close_code() == 4503
    assert await other.received_so_far() == []


async def test_signing_out_with_an_api_token_closes_the_sockets_opened_with_it_and_no_other(
    server, ada, settings
):
    settings.REALTIME_RECHECK_SECONDS = 1_000_000
    page = await server.connect(ada)
    token, secret = await in_thread(lambda: tokens.make("A program", user=ada))
    ticket = await in_thread(issue_ticket, ada, f"{TOKEN_PREFIX}{token.pk}")
    program = server.socket(subprotocols=["notifications.v1", f"ticket.{ticket}"])
    await program.open()
    await program.until("synced")
    sign_out = functools.partial(
        Client().delete, "/api/v1/session", headers={"Authorization": f"Bearer {secret}"}
    )
    assert (await in_thread(sign_out)).status_code == 204
    assert await program.close_code() == 4503
    assert await page.received_so_far() == []


async def test_a_ticket_issued_before_signing_out_everywhere_is_not_accepted(server, ada):
    ticket = await in_thread(issue_ticket, ada, await server.session(ada))
    await in_thread(sessions.end_all, ada)
    socket = server.socket(subprotocols=["notifications.v1", f"ticket.{ticket}"])
    accepted, _ = await socket.communicator.connect(timeout=TIMEOUT)
    assert accepted
    assert await socket.close_code() == 4500
