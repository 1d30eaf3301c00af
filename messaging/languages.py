"""Whose language is which: what DOORBELL_LANGUAGE_OF says, else the user's profile, else LANGUAGE_CODE.

The language that is active where a notification is written, its writer's, never matters.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import translation

from . import hooks, users
from .conf import conf
from .exceptions import HookFailed
from .presence_models import UserProfile

logger = logging.getLogger(__name__)

USERS_PER_QUERY = 2_000
# Of the languages that are none of the project's: each is logged once.
MAX_REPORTED = 100
_reported: set[str] = set()


def of(user_ids: Collection[Any], profiles: Mapping[Any, str | None] | None = None) -> dict[Any, str]:
    """Return these users' languages, each one that the project has.

    `profiles`: the languages of profiles that have been read already; None for one that hasn't.
    """
    if not settings.USE_I18N:
        return dict.fromkeys(user_ids, settings.LANGUAGE_CODE)
    spoken = _by_hook(user_ids)
    spoken = {user_id: str(language) for user_id, language in spoken.items() if language}
    read = {user_id: language for user_id, language in (profiles or {}).items() if language is not None}
    spoken = read | spoken
    rest = [user_id for user_id in user_ids if user_id not in spoken]
    for start in range(0, len(rest), USERS_PER_QUERY):
        spoken |= _by_profile(rest[start : start + USERS_PER_QUERY])
    codes = {code: known(code) for code in {*spoken.values(), None}}
    return {user_id: codes[spoken.get(user_id)] for user_id in user_ids}


def known(code: Any) -> str:
    """Return this language, or its variant that the project has (`de` for `de-at`); LANGUAGE_CODE for any other."""
    if not code:
        return settings.LANGUAGE_CODE
    try:
        return translation.get_supported_language_variant(str(code).lower())
    except (LookupError, ValueError):
        if len(_reported) < MAX_REPORTED and str(code) not in _reported:
            _reported.add(str(code))
            logger.warning(
                "the language %.50r of a user is none of the project's; %s is used in its place; add it to LANGUAGES, "
                "or correct it",
                code,
                settings.LANGUAGE_CODE,
            )
        return settings.LANGUAGE_CODE


def _by_hook(user_ids: Collection[Any]) -> dict[Any, Any]:
    if conf.language_of is None:
        return {}
    try:
        answer = hooks.call("language_of", frozenset(user_ids))
        if not isinstance(answer, Mapping):
            raise hooks.failure(
                "language_of",
                f"it returned {type(answer).__name__}, not a dict of languages by the users' ids",
            )
    except HookFailed:
        # A notification in another language is worth more than none.
        logger.exception("users are notified in the language of their profile, until the hook answers again")
        return {}
    return dict(answer)


def _by_profile(user_ids: Collection[Any]) -> dict[Any, str]:
    # (By the ORM it takes three times as long, for each notification.)
    places = ", ".join(["%s"] * len(user_ids))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT user_id, language FROM {UserProfile._meta.db_table}"  # noqa: S608
            f" WHERE language <> '' AND user_id IN ({places})",
            users.to_db(user_ids),
        )
        key = users.from_db()
        return {key(user_id): language for user_id, language in cursor.fetchall()}
