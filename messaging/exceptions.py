"""The errors of the domain. Each has a stable `code`, and its docstring is the default message.

Their text is English wherever a program, a log or a developer reads it. A page shows a person `translated()`.
"""

import math
from typing import Any

from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise


class MessagingError(Exception):
    """Something went wrong in messaging."""

    code = "messaging_error"
    # The default message, where a page shows it.
    text: Text | None = None

    def __init__(self, message: Text | None = None, **values: Any) -> None:
        """`message`: lazy if a page shows it; its places, as in "%(name)s", are filled from `values`."""
        self._message, self._values = message or self.text or type(self).__doc__ or "", values
        if isinstance(self._message, Promise):
            with translation.override(None):
                super().__init__(self.translated())
        else:
            super().__init__(self._message)

    def translated(self) -> str:
        """Return the message in the active language, as far as it was given lazily."""
        text = str(self._message)
        return text % self._values if self._values else text


class UnknownNotificationType(MessagingError):
    """There is no notification type of that name: declare it in messaging/notification_types.py."""

    code = "unknown_type"


class DuplicateNotificationType(MessagingError):
    """A notification type of that name is declared already."""

    code = "duplicate_type"


class InvalidNotification(MessagingError):
    """The notification has a title, description, level or url that can't be stored."""

    code = "invalid_notification"


class UnknownUser(MessagingError):
    """There is no such user."""

    code = "unknown_user"


class AmbiguousName(MessagingError):
    """Several users are called so: give the id of the one who is meant."""

    code = "ambiguous_name"


class NotSearchable(MessagingError):
    """Users can't be searched by name here: give an id."""

    code = "not_searchable"


class NotAllowed(MessagingError):
    """This token or login doesn't have the right to do that."""

    code = "not_allowed"


class NothingPublished(MessagingError):
    """Nothing was published, since something is wrong with at least one item."""

    code = "nothing_published"

    def __init__(self, errors: list[Any]) -> None:
        super().__init__()
        self.errors = errors


class SelfMessage(MessagingError):
    """A message to oneself can't be sent."""

    code = "self_message"


class SelfBlock(MessagingError):
    """You can't block yourself."""

    code = "self_block"


class HookFailed(MessagingError):
    """A function that a setting names failed."""

    code = "hook_failed"


class Invalid(MessagingError):
    """The request is malformed."""

    code = "invalid"


class NotJson(MessagingError):
    """The body must be JSON, in UTF-8, with the content type application/json."""

    code = "not_json"


class NotSignedIn(MessagingError):
    """Sign in first."""

    code = "not_signed_in"


class BadCredentials(MessagingError):
    """The username or the password is wrong."""

    code = "bad_credentials"


class SessionsInCookies(MessagingError):
    """This server keeps sessions in cookies, which it can't end elsewhere. A new password ends them."""

    code = "sessions_in_cookies"


class CsrfFailed(MessagingError):
    """The CSRF token is missing or wrong, or the request comes from another site."""

    code = "csrf_failed"


class NotFound(MessagingError):
    """There is no such thing, or it isn't yours."""

    code = "not_found"


class TooOften(MessagingError):
    """Too many requests: slow down."""

    code = "rate_limited"
    text = _("Too many requests: slow down.")

    def __init__(self, retry_after: float, message: Text | None = None) -> None:
        super().__init__(message)
        self.retry_after = max(1, math.ceil(retry_after))


class TooManyAttempts(TooOften):
    """Too many failed sign-ins: wait a few minutes."""

    code = "too_many_attempts"
    text = _("Too many failed sign-ins: wait a few minutes.")
