"""What a server logs: never a credential, nor what people write, at any level and in either format."""

import asyncio
import contextlib

import pytest
from websockets.exceptions import ConnectionClosed

from .client import Person
from .conftest import Deployment


@pytest.mark.parametrize(("kind", "log_format"), [("serve", "json"), ("daphne", "text")])
async def test_no_secret_is_in_any_log_however_much_is_logged(
    deployment: Deployment, kind: str, log_format: str
) -> None:
    server = await deployment.start(kind, LOG_LEVEL="DEBUG", LOG_FORMAT=log_format)
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

    # A handshake that is refused, and private text, on every way that it takes: stored, pushed, read again, marked,
    # refused, shown in the admin.
    await open_socket(ada)
    tab = await grace.tab()
    secrets["a message"] = "for-graces-eyes-only"
    message = await ada.write_to(grace, secrets["a message"])
    secrets["what was published"] = item["title"]
    for name in ("description", "url"):
        secrets[f"a {name}"] = f"/the-{name}-of-graces-letter"
    whole = item | {name: secrets[f"a {name}"] for name in ("description", "url")}
    publishing = {"headers": {"Authorization": f"Bearer {secrets['an API token']}"}}
    await anonymous.call("POST", "publish", 202, json=whole, **publishing)
    await tab.until_shows(unread=3)
    await open_socket(grace, path="/ws/notifications/?since=0")
    secrets["a refused text"] = "the-text-that-is-refused-" + "x" * 600
    await anonymous.call(
        "POST", "publish", 422, json=whole | {"description": secrets["a refused text"]}, **publishing
    )
    await ada.call(
        "POST", "messages", 422, json={"receiver": grace.username, "text": secrets["a refused text"]}
    )
    await ada.http.post("messages", content=f'{{"content": "{secrets["a refused text"]}')
    await grace.call("POST", f"messages/{message}/read")
    await grace.call("POST", "notifications/read", json={"all": True})
    secrets["an e-mail address"] = "ada-in-private@example.com"
    wrong = {"username": secrets["an e-mail address"], "password": secrets["a wrong password"]}
    await anonymous.call("POST", "session", 401, json=wrong)
    secrets["a searched name"] = "graces-maiden-name"
    await ada.call("GET", f"users?search={secrets['a searched name']}")
    await ada.http.get(f"{server.url}/password/reset/?token={secrets['a ticket']}")
    await ada.call("DELETE", "session", 204)

    await deployment.finish()
    await asyncio.to_thread(server.stop)
    logged = server.log.read_text(errors="replace")
    # What may be there, at this level.
    assert "pushed: " in logged
    # Daphne's own access log has each address with its query string.
    lines = [line for line in logged.splitlines() if " - - [" not in line]
    found = {line: name for line in lines for name, secret in secrets.items() if secret in line}
    assert found == {}


async def open_socket(person: Person, **options: object) -> None:
    """Open a socket, and wait for what the server says: a frame or a close."""
    socket = await person.socket(**options)  # type: ignore[arg-type]
    with contextlib.suppress(ConnectionClosed):
        await asyncio.wait_for(socket.recv(), 20)
    await socket.close()
