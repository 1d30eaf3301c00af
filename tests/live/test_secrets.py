"""What a server logs: never a credential."""

import asyncio
import contextlib

import pytest
from websockets.exceptions import ConnectionClosed

from .client import Person
from .conftest import Deployment


@pytest.mark.parametrize("kind", ["serve", "daphne"])
async def test_no_secret_is_in_any_log_however_much_is_logged(deployment: Deployment, kind: str) -> None:
    server = await deployment.start(kind, LOG_LEVEL="DEBUG")
    ada, grace = deployment.people(server, 2)
    secrets = {"the secret key": server.environment["SECRET_KEY"]}
    secrets |= {"a session": ada.session, "another session": grace.session}

    # Signing in.
    anonymous = deployment.anonymous(server)
    secrets["a wrong password"] = "wrong-password-0123456789"
    wrong = {"username": ada.username, "password": secrets["a wrong password"]}
    await anonymous.call("POST", "session", 401, json=wrong)
    await anonymous.call("POST", "session", 422, json=wrong | {"more": 1})
    secrets["a CSRF token"] = (await ada.call("GET", "session"))["csrf_token"]

    # Tickets, right and wrong.
    secrets["a ticket"] = (await ada.call("POST", "ticket"))["ticket"]
    secrets["a wrong ticket"] = "wrong-ticket-0123456789"
    for name in ("a ticket", "a wrong ticket"):
        await open_socket(anonymous, subprotocols=("notifications.v1", f"ticket.{secrets[name]}"))

    # API tokens, right and wrong.
    printed = await deployment.manage("create_api_token", "A program", "--user", ada.username, "--publish")
    secrets["an API token"] = next(word for word in printed.split() if word.startswith("doorbell_"))
    secrets["a wrong API token"] = "doorbell_wrong-token-0123456789"
    item = {"user": grace.username, "notification_type": "announcement", "title": "For this user only"}
    for name, expected in (("an API token", 202), ("a wrong API token", 401)):
        headers = {"Authorization": f"Bearer {secrets[name]}"}
        await anonymous.call("POST", "publish", expected, json=item, headers=headers)

    # A handshake that is refused, and private text.
    await open_socket(ada)
    secrets["a message"] = "for-graces-eyes-only"
    await ada.write_to(grace, secrets["a message"])
    secrets["what was published"] = item["title"]
    await ada.call("DELETE", "session", 204)

    await deployment.finish()
    await asyncio.to_thread(server.stop)
    logged = server.log.read_text(errors="replace")
    assert logged
    assert {name for name, secret in secrets.items() if secret in logged} == set()


async def open_socket(person: Person, **options: object) -> None:
    """Open a socket, and wait for what the server says: a frame or a close."""
    socket = await person.socket(**options)  # type: ignore[arg-type]
    with contextlib.suppress(ConnectionClosed):
        await asyncio.wait_for(socket.recv(), 20)
    await socket.close()
