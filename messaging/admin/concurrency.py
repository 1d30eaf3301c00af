"""Pages whose rows others delete or lock meanwhile: a sentence on the same page, instead of a server error."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext

from messaging.exceptions import UnknownUser
from messaging.orm.retry import is_conflict, is_dangling, is_row_gone

from .history import HistoryAdmin


def explained(request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
    """Return what the view does, or the same page with a message when others' changes have undone its transaction."""
    try:
        return view()
    except (DatabaseError, UnknownUser) as error:
        if isinstance(error, UnknownUser) or is_dangling(error) or is_row_gone(error):
            text = gettext("Nothing was saved: a row that this needs has been deleted meanwhile.")
        elif is_conflict(error):
            text = gettext("Nothing was saved: others are changing the same rows. Try again in a moment.")
        else:
            raise
    messages.error(request, text)
    return HttpResponseRedirect(request.get_full_path())


class ConcurrentAdmin(HistoryAdmin):
    """Explains a change, a deletion or an action that others' changes have undone."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = super().changeform_view
        return explained(request, lambda: view(request, *args, **kwargs))

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = super().delete_view
        return explained(request, lambda: view(request, *args, **kwargs))

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = super().changelist_view
        return explained(request, lambda: view(request, *args, **kwargs))
