"""Django's sessions in the database, for whatever a cookie may call itself."""

from typing import Any

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """A cookie can spell NUL (`"\\000"`), which PostgreSQL refuses with an error: 500 for a mere stranger."""

    def _validate_session_key(self, key: Any) -> bool:
        # Django's demand is a length.
        valid: bool = super()._validate_session_key(key)  # type: ignore[misc]  # its stubs lack it
        return valid and "\0" not in key
