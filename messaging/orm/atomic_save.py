"""Saves that commit together with what their receivers write, and the muting of receivers."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, ClassVar

from django.db import models, router, transaction

from .retry import retry_on_transient

_savepoints: contextvars.ContextVar[bool] = contextvars.ContextVar("savepoints", default=True)
_muted: contextvars.ContextVar[bool] = contextvars.ContextVar("receivers_muted", default=False)


@contextlib.contextmanager
def receivers_muted() -> Iterator[None]:
    """Save without the domain's receivers: for imports, and for tests that make their own notifications."""
    token = _muted.set(True)
    try:
        yield
    finally:
        _muted.reset(token)


def receivers_are_muted() -> bool:
    return _muted.get()


@contextlib.contextmanager
def _without_savepoints() -> Iterator[None]:
    token = _savepoints.set(False)
    try:
        yield
    finally:
        _savepoints.reset(token)


def receivers_use_savepoints() -> bool:
    """Return whether receivers must use savepoints. If not, AtomicSaveModel.save repeats the save after a failure."""
    return _savepoints.get()


class ReceiverFailed(BaseException):
    """A receiver failed in a transaction without savepoints. No Exception, so that no `except Exception` catches it."""


class AtomicSaveModel(models.Model):
    """A row that is committed together with what its receivers write (in autocommit, Django commits it before).

    An instance that was read earlier never overwrites the columns named in BOOKKEEPING.
    """

    BOOKKEEPING: ClassVar[frozenset[str]] = frozenset()

    class Meta:
        abstract = True

    def save(self, **kwargs: Any) -> None:
        self.prepare(kwargs)
        if self.BOOKKEEPING and not self._state.adding and kwargs.get("update_fields") is None:
            deferred = self.get_deferred_fields()
            kwargs["update_fields"] = {
                field.name
                for field in self._meta.concrete_fields
                if not field.primary_key
                and field.attname not in deferred
                and field.name not in self.BOOKKEEPING
            }
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        connection = transaction.get_connection(using)
        if connection.in_atomic_block:
            super().save(**kwargs)
            return
        before, adding = self.__dict__.copy(), self._state.adding

        def attempt(*, savepoints: bool = False) -> None:
            try:
                with (
                    transaction.atomic(using=using),
                    contextlib.nullcontext() if savepoints else _without_savepoints(),
                ):
                    super(AtomicSaveModel, self).save(**kwargs)
            except BaseException:
                # The transaction is lost, and with it what this instance has seen of it.
                self.__dict__.clear()
                self.__dict__.update(before)
                self._state.adding = adding
                raise

        try:
            retry_on_transient(attempt, timeouts=True)
        except ReceiverFailed:
            # The save is repeated, with each receiver in a savepoint. That is rare, and savepoints every time would
            # cost two round trips a receiver: `Message.save()` with its three would take 28 % longer, in wall time
            # (2.34 to 3.00 ms) and in CPU time alike, and reading a message 24 to 29 %
            # (PostgreSQL 18 over a socket, fsync off; medians of 7 rounds of 300 saves each, by turns).
            attempt(savepoints=True)

    def prepare(self, options: dict[str, Any]) -> None:
        """Called before a save, with its arguments, which it may change."""
        if self.pk is None or options.get("force_insert"):
            # A copy of the row that this instance was read from: Django inserts it.
            self._state.adding = True
        for field in self._meta.concrete_fields:
            if field.remote_field is not None:
                self._clean_key(field)

    def _clean_key(self, field: Any) -> None:
        """Convert a key that was given as text, say, as Django does when it stores it: receivers read it before."""
        key = self.__dict__.get(field.attname)
        if key is None or hasattr(key, "resolve_expression"):
            return
        cleaned = field.get_prep_value(key)
        if type(cleaned) is not type(key):
            setattr(self, field.attname, cleaned)
