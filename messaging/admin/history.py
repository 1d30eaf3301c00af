"""The admin's history is read by all staff: its entries are in LANGUAGE_CODE, whatever the language of the page."""

from contextlib import AbstractContextManager
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.utils import translation


def in_common_language() -> AbstractContextManager[Any]:
    """Make texts that are stored for all staff."""
    return translation.override(settings.LANGUAGE_CODE)


class HistoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Describes rows in that language."""

    def log_addition(self, *args: Any, **kwargs: Any) -> Any:
        with in_common_language():
            return super().log_addition(*args, **kwargs)

    def log_change(self, *args: Any, **kwargs: Any) -> Any:
        with in_common_language():
            return super().log_change(*args, **kwargs)

    def log_deletions(self, *args: Any, **kwargs: Any) -> Any:
        with in_common_language():
            return super().log_deletions(*args, **kwargs)
