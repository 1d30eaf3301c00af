"""What the admin's pages share: links, counts, filters that don't scan all rows, and base classes."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.admin.widgets import AutocompleteSelect, ForeignKeyRawIdWidget
from django.core.exceptions import ValidationError
from django.db.models import Count, IntegerField, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from messaging import notification_types, users

from .concurrency import ConcurrentAdmin

NAME = users.name_field()
KEY = users.key_name()
NOTHING = "-"
PREVIEW = 60
# How many users a filter offers. Others are reached by the search, or by a link on their profile.
USERS_OFFERED = 30
LEVELS = {
    "info": pgettext_lazy("doorbell", "info"),
    "success": pgettext_lazy("doorbell", "success"),
    "warning": pgettext_lazy("doorbell", "warning"),
    "error": pgettext_lazy("doorbell", "error"),
}


def link(thing: Model | None, text: str | None = None) -> str:
    """Return a link to a row's change page, or the text alone if there is none."""
    if thing is None:
        return NOTHING
    options = thing._meta
    try:
        url = reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[quote(thing.pk)])
    except NoReverseMatch:
        return text or str(thing)
    return format_html('<a href="{}">{}</a>', url, text or thing)


def link_to_list(model: type[Model], text: Any, **filters: Any) -> str:
    """Return a link to a model's list with these filters."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(filters), text)


def shortened(text: str, length: int = PREVIEW) -> str:
    return (text[:length] + ("…" if len(text) > length else "")).strip() or NOTHING


def number_of(rows: QuerySet[Any], column: str, outer: str = "pk") -> Coalesce:
    """Return a subquery that counts the rows whose `column` is the `outer` one: only for the rows of one page."""
    own = rows.filter(**{column: OuterRef(outer)}).order_by()
    number = own.values(column).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(number, output_field=IntegerField()), 0)


def figure(count: int) -> str:
    """Return a number as a page shows it: 1,000 in English."""
    return str(number_format(count, force_grouping=True))


def level_label(level: str) -> str:
    return str(LEVELS.get(level, level)) or NOTHING


def type_label(name: str) -> str:
    """Return the label of a notification type, or the name of one that isn't declared any more."""
    declared = notification_types.find(name)
    return name if declared is None else str(declared.label)


class UserFilter(admin.RelatedFieldListFilter):
    """A filter by user that offers the first few and the chosen one: there may be a hundred thousand."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        everyone = users.people().order_by(NAME).values_list("pk", NAME)
        offered = list(everyone[:USERS_OFFERED])
        # Django has made a list of the filter's value.
        chosen = [pk for value in self.lookup_val or () if (pk := users.key_of(str(value))) is not None]
        if chosen and not {pk for pk, _ in offered} & set(chosen):
            offered += everyone.filter(pk__in=chosen)
        return offered


class TypeFilter(admin.SimpleListFilter):
    """A filter by type that offers the declared ones, instead of scanning all rows for the types in use."""

    title = pgettext_lazy("doorbell", "type")
    parameter_name = "notification_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, str]]:
        for declared in notification_types.all_types():
            yield declared.name, str(declared.label)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(notification_type=self.value()) if self.value() else queryset


class LevelFilter(admin.SimpleListFilter):
    """A filter by level that doesn't scan all rows either."""

    title = pgettext_lazy("doorbell", "level")
    parameter_name = "level"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*LEVELS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(level=self.value()) if self.value() else queryset


def can_search_users(site: admin.AdminSite) -> bool:
    """Whether this site's user admin offers a search. A project's users may have an admin without one, or none."""
    model = users.model()
    return site.is_registered(model) and bool(site.get_model_admin(model).search_fields)


class ChoosesUsersAdmin(ConcurrentAdmin):
    """Rows with foreign keys to users: chosen by a search where there is one, else by id.

    `autocomplete_fields` would make the search a condition of starting at all (admin.E039, E040).
    """

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.remote_field.model is users.model():
            options["widget"] = (
                AutocompleteSelect(db_field, self.admin_site)
                if can_search_users(self.admin_site)
                else ForeignKeyRawIdWidget(db_field.remote_field, self.admin_site)
            )
        return super().formfield_for_foreignkey(db_field, request, **options)


def may_act_for(actor: Any, user: Any) -> bool:
    """Whether a staff user may act in another user's name: a superuser, that user, or one who may change users.

    That right includes setting passwords, and so signing in as any user; over a superuser only superusers have it.
    """
    options = users.model()._meta
    if getattr(actor, "is_superuser", False) or actor.pk == user.pk:
        return True
    may_change: bool = actor.has_perm(f"{options.app_label}.change_{options.model_name}")
    return may_change and not getattr(user, "is_superuser", False)


class ActingForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form in which a user is chosen in whose name something is done."""

    # Set by ActingAdmin.
    actor: Any = None

    def checked_user(self, name: str) -> Any:
        user = self.cleaned_data[name]
        if user is not None and not may_act_for(self.actor, user):
            raise ValidationError(
                _(
                    "You may not act in the name of %(user)s: that needs the right to change users,"
                    " and for a superuser it needs a superuser."
                ),
                params={"user": users.name_of(user)},
            )
        return user


class ActingAdmin(ChoosesUsersAdmin):
    """Uses an ActingForm."""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.actor = request.user
        return form


class OwnedByUserAdmin(ConcurrentAdmin):
    """Rows that are created and deleted with their user, never by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Django also asks this when a user is being deleted; then the permission decides, as usual.
        match, options = request.resolver_match, self.model._meta
        if match is not None and str(match.url_name).startswith(f"{options.app_label}_{options.model_name}_"):
            return False
        return super().has_delete_permission(request, obj)


class ReadOnlyAdmin(OwnedByUserAdmin):
    """Read-only rows."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
