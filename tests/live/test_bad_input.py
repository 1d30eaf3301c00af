"""Whatever is sent over HTTP: the contract's status and code, nothing changed, nothing in the log."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from .client import Person
from .conftest import Deployment
from .servers import PASSWORD

HUGE = 2**63


@dataclass
class Case:
    status: int
    code: str
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def post(status: int, code: str, path: str, body: Any, **headers: str) -> Case:
    return Case(status, code, "POST", path, body, headers)


# {name} and {other}: the usernames of the caller and of another user; {theirs} and {message}: another user's rows.
CASES = [
    # Not JSON.
    post(400, "not_json", "messages", b"nope"),
    post(400, "not_json", "messages", b""),
    post(400, "not_json", "messages", b'{"receiver": "{other}", "content": "x"'),
    post(400, "not_json", "messages", b'{"receiver": "{other}", "content": "\xff\xfe"}'),
    post(400, "not_json", "messages", b'{"receiver": "{other}", "content": NaN}'),
    post(400, "not_json", "messages", b"[" * 100_000),
    post(400, "not_json", "notifications/read", b"ids=1"),
    post(400, "not_json", "notifications/unread", b"\x00"),
    post(400, "not_json", "session", b"username=ada&password=x"),
    # Unknown fields.
    post(422, "invalid", "messages", {"receiver": "{other}", "content": "x", "sender": "{other}"}),
    post(422, "invalid", "messages", {"receiver": "{other}", "content": "x", "is_read": True}),
    post(422, "invalid", "notifications/read", {"all": True, "user": 1}),
    post(422, "invalid", "notifications/unread", {"ids": [1], "all": True}),
    post(422, "invalid", "notifications/unread", {"all": True}),
    post(422, "invalid", "session", {"username": "{name}", "password": PASSWORD, "admin": True}),
    # Missing fields and wrong types.
    post(422, "invalid", "messages", {}),
    post(422, "invalid", "messages", []),
    post(422, "invalid", "messages", "x"),
    post(422, "invalid", "messages", 7),
    post(422, "invalid", "messages", {"receiver": "{other}"}),
    post(422, "invalid", "messages", {"content": "x"}),
    post(422, "invalid", "messages", {"receiver": 1, "content": "x"}),
    post(422, "invalid", "messages", {"receiver": ["{other}"], "content": "x"}),
    post(422, "invalid", "messages", {"receiver": "{other}", "content": 5}),
    post(422, "invalid", "messages", {"receiver": "{other}", "content": None}),
    post(422, "invalid", "messages", {"receiver": "{other}", "content": {"x": 1}}),
    post(422, "invalid", "notifications/read", {}),
    post(422, "invalid", "notifications/read", {"ids": [], "all": True}),
    post(422, "invalid", "notifications/read", {"all": False}),
    post(422, "invalid", "notifications/read", {"all": 1}),
    post(422, "invalid", "notifications/read", {"ids": "1"}),
    post(422, "invalid", "notifications/read", {"ids": ["1"]}),
    post(422, "invalid", "notifications/read", {"ids": [True]}),
    post(422, "invalid", "notifications/read", {"ids": [1.5]}),
    post(422, "invalid", "notifications/unread", {"ids": None}),
    post(422, "invalid", "session", {"username": "{name}"}),
    post(422, "invalid", "session", {"username": 1, "password": PASSWORD}),
    # Texts of the wrong length, or that can't be stored.
    post(422, "invalid", "messages", {"receiver": "{other}", "content": ""}),
    post(422, "invalid", "messages", {"receiver": "{other}", "content": "x" * 1001}),
    post(422, "invalid", "messages", {"receiver": "{other}", "content": "🔔" * 1001}),
    post(422, "invalid", "messages", {"receiver": "{other}", "content": "x\0"}),
    post(422, "invalid", "messages", {"receiver": "{other}\0", "content": "x"}),
    # Half a surrogate pair: JSON can say it, UTF-8 can't.
    post(422, "invalid", "messages", b'{"receiver": "{other}", "content": "\\ud800"}'),
    post(422, "invalid", "messages", b'{"receiver": "\\ud800", "content": "x"}'),
    post(413, "too_large", "messages", b'{"receiver": "{other}", "content": "' + b"x" * 3_000_000 + b'"}'),
    # Receivers that can't be written to.
    post(404, "unknown_user", "messages", {"receiver": "no-such-user", "content": "x"}),
    post(404, "unknown_user", "messages", {"receiver": "", "content": "x"}),
    post(404, "unknown_user", "messages", {"receiver": "x" * 10_000, "content": "x"}),
    post(422, "self_message", "messages", {"receiver": "{name}", "content": "x"}),
    Case(404, "unknown_user", "GET", "messages?with=no-such-user"),
    # Rows that don't exist, or belong to another user.
    Case(404, "not_found", "DELETE", "notifications/{theirs}"),
    Case(404, "not_found", "DELETE", "notifications/999999"),
    post(404, "not_found", "messages/{message}/read", None),
    post(404, "not_found", "messages/999999/read", None),
    Case(404, "not_found", "GET", "nothing"),
    Case(404, "not_found", "GET", "notifications/"),
    Case(404, "not_found", "GET", "notifications/{theirs}/members"),
    Case(404, "not_found", "GET", f"notifications/{HUGE}/members"),
    Case(422, "invalid", "GET", "notifications/x/members"),
    Case(405, "method_not_allowed", "POST", "notifications/{mine}/members"),
    Case(404, "not_found", "DELETE", "notifications/0"),
    Case(404, "not_found", "DELETE", f"notifications/{HUGE}"),
    Case(422, "invalid", "DELETE", "notifications/x"),
    post(404, "not_found", f"messages/{HUGE}/read", None),
    Case(405, "method_not_allowed", "PUT", "notifications"),
    Case(405, "method_not_allowed", "DELETE", "messages"),
    # Queries.
    Case(422, "invalid", "GET", "notifications?limit=0"),
    Case(422, "invalid", "GET", "notifications?limit=201"),
    Case(422, "invalid", "GET", "notifications?limit=x"),
    Case(422, "invalid", "GET", "notifications?before=0"),
    Case(422, "invalid", "GET", f"notifications?before={HUGE}"),
    Case(422, "invalid", "GET", "notifications?unread=perhaps"),
    Case(422, "invalid", "GET", "notifications?notification_type=%00"),
    Case(422, "invalid", "GET", "notifications?group=%00"),
    Case(422, "invalid", "GET", "notifications?group[]=x"),
    Case(422, "invalid", "GET", "notifications?offset=5"),
    Case(422, "invalid", "GET", "notifications/{mine}/members?limit=0"),
    Case(422, "invalid", "GET", "notifications/{mine}/members?limit=201"),
    Case(422, "invalid", "GET", "notifications/{mine}/members?limit="),
    Case(422, "invalid", "GET", f"notifications/{{mine}}/members?before={HUGE}"),
    Case(422, "invalid", "GET", "notifications/{mine}/members?before=null"),
    Case(422, "invalid", "GET", "notifications/{mine}/members?group=x"),
    Case(422, "invalid", "GET", "messages?with=%00"),
    Case(422, "invalid", "GET", "messages?from=x"),
    Case(422, "invalid", "GET", "users?search=%00"),
    Case(422, "invalid", "GET", "users?limit=-1"),
    # No CSRF token, a wrong one, another site's page.
    post(403, "csrf_failed", "messages", {"receiver": "{other}", "content": "x"}, **{"X-CSRFToken": ""}),
    post(
        403, "csrf_failed", "messages", {"receiver": "{other}", "content": "x"}, **{"X-CSRFToken": "d" * 32}
    ),
    post(
        403, "csrf_failed", "messages", {"receiver": "{other}", "content": "x"}, Origin="http://example.org"
    ),
    post(403, "csrf_failed", "messages/{message}/read", None, **{"X-CSRFToken": "x"}),
    post(403, "csrf_failed", "notifications/read", {"all": True}, **{"X-CSRFToken": ""}),
    Case(403, "csrf_failed", "DELETE", "notifications/{mine}", headers={"X-CSRFToken": ""}),
    Case(403, "csrf_failed", "DELETE", "session", headers={"X-CSRFToken": ""}),
    post(403, "csrf_failed", "ticket", None, **{"X-CSRFToken": ""}),
    post(401, "bad_credentials", "session", {"username": "{name}", "password": "wrong"}),
    post(401, "bad_credentials", "session", {"username": "no-such-user", "password": PASSWORD}),
]


@dataclass
class Scene:
    """Ada, the caller, with a notification of hers, and Grace, with a message and a notification that aren't Ada's."""

    ada: Person
    names: dict[str, str]


@pytest.fixture(scope="session")
def scene_rows() -> dict[str, str]:
    return {}


@pytest.fixture
async def scene(shared: Deployment, scene_rows: dict[str, str]) -> Scene:
    """One scene for all cases: that none of them changes it is what is tested."""
    if not scene_rows:
        ada, grace = shared.people(shared.servers[0], 2)
        await grace.write_to(ada)
        message = await ada.write_to(grace)
        mine, theirs = [next(iter((await one.inbox()).items)) for one in (ada, grace)]
        scene_rows |= {"name": ada.username, "other": grace.username, "message": str(message)}
        scene_rows |= {"mine": str(mine), "theirs": str(theirs), "id": str(ada.id), "session": ada.session}
    ada = shared.at_server(
        Person("", id=int(scene_rows["id"]), username=scene_rows["name"]), shared.servers[0]
    )
    return Scene(ada, scene_rows)


def named(case: Case) -> str:
    return f"{case.method} {case.path} {str(case.body)[:40]} {case.headers or ''} is {case.status}"


@pytest.mark.parametrize("case", CASES, ids=named)
async def test_bad_input_is_refused_and_changes_nothing(shared: Deployment, scene: Scene, case: Case) -> None:
    def filled(text: str) -> str:
        for name, value in scene.names.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    before = await asyncio.to_thread(shared.contents)
    body = (
        case.body
        if isinstance(case.body, bytes)
        else None
        if case.body is None
        else json.dumps(case.body).encode()
    )
    if body is not None:
        body = filled(body.decode("latin-1")).encode("latin-1")
    headers = {"Cookie": f"sessionid={scene.names['session']}; csrftoken={'c' * 32}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    answer = await scene.ada.http.request(
        case.method, filled(case.path), content=body, headers=headers | case.headers
    )
    assert answer.headers["content-type"].startswith("application/json")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (case.status, case.code), problem
    assert problem.keys() == {"detail", "code"}
    assert isinstance(problem["detail"], str)
    assert problem["detail"]
    assert await asyncio.to_thread(shared.contents) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(
            ("GET", path)
            for path in ("users", "messages", "notifications", "notifications/1/members", "presence")
        ),
        *(
            ("POST", path)
            for path in ("messages", "messages/1/read", "notifications/read", "notifications/unread")
        ),
        ("POST", "ticket"),
        ("DELETE", "notifications/1"),
    ],
)
async def test_without_a_login_the_answer_is_401(shared: Deployment, method: str, path: str) -> None:
    problem = await shared.anonymous(shared.servers[0]).call(method, path, 401)
    assert problem["code"] == "not_signed_in"


async def test_the_same_calls_made_well_succeed(shared: Deployment, scene: Scene) -> None:
    """The same calls, made well, are answered well: the cases above fail for the reason they name."""
    ada = shared.at_server(
        Person("", id=int(scene.names["id"]), username=scene.names["name"], session=scene.names["session"]),
        shared.servers[0],
    )
    other = {"receiver": scene.names["other"], "content": "🔔" * 1000}
    assert (await ada.call("POST", "messages", 201, json=other))["content"] == "🔔" * 1000
    assert (await ada.call("GET", f"messages?with={scene.names['other']}&limit=200"))["items"]
    await ada.call("DELETE", f"notifications/{scene.names['mine']}", 204)
