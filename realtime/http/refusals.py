"""What is answered in Django's place: errors in the form that docs/protocol.md gives, as ASGI messages."""

from typing import Any

from django.http import JsonResponse

BUSY = 503, "unavailable", "The server is busy. Try again in a moment."


class Refused(Exception):
    """The request isn't served: status, code and detail."""


def messages(status: int, code: str, detail: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the head and the body of the answer."""
    body = JsonResponse({"detail": detail, "code": code}).content
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status in (429, 503):
        headers.append((b"retry-after", b"1"))
    head = {"type": "http.response.start", "status": status, "headers": headers}
    return head, {"type": "http.response.body", "body": body}
