"""Bounded deletion: related rows are counted per model, where Django's own page loads and lists every one of them."""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.db.models import CASCADE, PROTECT, RESTRICT, Model, Q, QuerySet
from django.db.models.deletion import get_candidate_relations_to_delete
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .common import figure, link
from .concurrency import ConcurrentAdmin

LISTED = 50
# Each is a field of the confirmation form, and Django accepts a thousand: DATA_UPLOAD_MAX_NUMBER_FIELDS.
MAX_SELECTED = 900

Lookups = dict[type[Model], list[str]]


class BoundedDeletionAdmin(ConcurrentAdmin):
    """Confirms a deletion by counts, with one query per model, however many rows are deleted."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        chosen = list(objs)
        if not chosen:
            return [], {}, set(), []
        deleted, blocking = related_lookups(self.model)
        numbers: dict[type[Model], int] = {self.model: len(chosen)}
        for model, lookups in deleted.items():
            if model is not self.model:
                numbers[model] = model._base_manager.filter(_any(lookups, chosen)).count()
        needed = {
            str(model._meta.verbose_name)
            for model, number in numbers.items()
            if number and not self._may_delete(model, request)
        }
        protected = [
            line
            for (model, on_delete), lookups in blocking.items()
            for line in _protected(
                model, lookups, deleted.get(model, []) if on_delete is RESTRICT else [], chosen
            )
        ]
        counts = {model._meta.verbose_name_plural: number for model, number in numbers.items() if number}
        return _listed(chosen, len(chosen)), counts, needed, protected

    def _may_delete(self, model: type[Model], request: HttpRequest) -> bool:
        site = self.admin_site
        return not site.is_registered(model) or site.get_model_admin(model).has_delete_permission(request)

    @admin.action(permissions=["delete"], description=_("Delete selected %(verbose_name_plural)s"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        number = queryset.count()
        if number > MAX_SELECTED:
            text = ngettext(
                "%(count)s row selected: at most %(most)s can be deleted at once.",
                "%(count)s rows selected: at most %(most)s can be deleted at once.",
                number,
            )
            named = {"count": figure(number), "most": figure(MAX_SELECTED)}
            self.message_user(request, text % named, messages.ERROR)
            return None
        return delete_selected(self, request, queryset)


def related_lookups(model: type[Model]) -> tuple[Lookups, dict[tuple[type[Model], Any], list[str]]]:
    """Return the lookups from other models to `model`: of rows deleted with it, and of rows that block its deletion.

    Derived from the models alone; a relation of a model to itself is followed once. Blocking ones are keyed by
    (model, on_delete).
    """
    deleted: Lookups = {}
    blocking: dict[tuple[type[Model], Any], list[str]] = {}
    for other, on_delete, lookup in _relations(model, "", ()):
        if on_delete is CASCADE:
            deleted.setdefault(other, []).append(lookup)
        elif on_delete in (PROTECT, RESTRICT):
            blocking.setdefault((other, on_delete), []).append(lookup)
    return deleted, blocking


def _relations(
    model: type[Model], path: str, passed: tuple[Any, ...]
) -> Iterator[tuple[type[Model], Any, str]]:
    relations: Any = get_candidate_relations_to_delete(model._meta)
    for relation in relations:
        if relation not in passed:
            lookup = f"{relation.field.name}__{path}" if path else relation.field.name
            yield relation.related_model, relation.on_delete, lookup
            if relation.on_delete is CASCADE:
                yield from _relations(relation.related_model, lookup, (*passed, relation))


def _any(lookups: Sequence[str], chosen: Sequence[Model]) -> Q:
    return reduce(or_, (Q(**{f"{lookup}__in": chosen}) for lookup in lookups))


def _protected(
    model: type[Model], lookups: Sequence[str], deleted_too: Sequence[str], chosen: Sequence[Model]
) -> list[str]:
    rows = model._base_manager.filter(_any(lookups, chosen))
    if deleted_too:
        rows = rows.exclude(_any(deleted_too, chosen))
    return _listed(rows[:LISTED], rows.count())


def _listed(rows: Any, number: int) -> list[str]:
    lines = [link(row) for row in rows[:LISTED]]
    if (more := number - len(lines)) > 0:
        lines.append(ngettext("and %(count)s more", "and %(count)s more", more) % {"count": figure(more)})
    return lines
