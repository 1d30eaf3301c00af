"""Django's database sessions, made safe for any session key that a cookie may carry."""

from typing import Any

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """A cookie can spell NUL (`"\\000"`), which PostgreSQL refuses with an error: any visitor could provoke a 500."""

    def _validate_session_key(self, key: Any) -> bool:
        # Django only checks the length.
        valid: bool = super()._validate_session_key(key)  # type: ignore[misc]  # its stubs lack it
        return valid and "\0" not in key
