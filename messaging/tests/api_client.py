"""A client of the API that acts as a browser: it keeps cookies, and sends the CSRF token that it was given."""

import json
from typing import Any

from django.test import Client

from conftest import PASSWORD


class ApiClient:
    def __init__(self) -> None:
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.token = ""

    def __call__(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Any:
        """Call `path` below /api/v1/ with a JSON body, or with a raw one."""
        if body is not None:
            raw = json.dumps(body).encode()
        if self.token:
            headers = {"X-CSRFToken": self.token} | headers
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(
            method, f"/api/v1/{path}", raw or b"", content_type="application/json", headers=headers
        )

    def get(self, path: str) -> Any:
        """Return what a GET answers, which must be a success."""
        response = self("GET", path)
        assert response.status_code == 200, response.content
        return response.json()

    def sign_in(self, username: str, password: str = PASSWORD) -> Any:
        response = self("POST", "session", {"username": username, "password": password})
        if response.status_code == 200:
            self.token = response.json()["csrf_token"]
        return response


def refusal(response: Any) -> tuple[int, str]:
    """Return the status and the code of an error, after a check of its form."""
    answer = response.json()
    assert response["Content-Type"].startswith("application/json")
    assert set(answer) == {"detail", "code"}
    assert isinstance(answer["detail"], str)
    assert answer["detail"]
    assert "Traceback" not in answer["detail"]
    return response.status_code, answer["code"]
