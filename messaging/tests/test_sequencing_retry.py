"""Transient database errors while revisions are assigned."""

import pytest
from django.db import OperationalError

from messaging import sequencing
from messaging.models import Inbox
from messaging.notifications import assign_revisions, notify
from messaging.orm import retry
from messaging.tests.domain_replica import check_counts
from messaging.tests.rows import pending

pytestmark = pytest.mark.django_db(transaction=True)


class TransientError(Exception):
    """psycopg's error, reduced to what the retry reads."""

    def __init__(self, sqlstate):
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize("state", ["40P01", "40001"])
def test_a_deadlock_is_retried(ada, assigned, monkeypatch, state):
    notify(ada, "announcement", "Hello")
    tries = []
    assign_batch = sequencing.number_pending

    def unlucky(user_ids, **options):
        batch = assign_batch(user_ids, **options)
        tries.append(batch)
        if len(tries) < retry.MAX_ATTEMPTS:
            raise OperationalError("deadlock detected") from TransientError(state)
        return batch

    monkeypatch.setattr(sequencing, "number_pending", unlucky)
    [revision] = assigned(ada)
    assert len(tries) == 3
    assert revision.revision == 1
    check_counts(ada.pk)


def test_after_three_deadlocks_the_error_is_raised_and_no_revision_assigned(ada, monkeypatch, announced):
    notify(ada, "announcement", "Hello")
    announced.clear()
    assign_batch = sequencing.number_pending

    def unlucky(user_ids, **options):
        assign_batch(user_ids, **options)
        raise OperationalError("deadlock detected") from TransientError("40P01")

    monkeypatch.setattr(sequencing, "number_pending", unlucky)
    with pytest.raises(OperationalError):
        assign_revisions([ada.pk])
    assert announced == []
    assert len(pending(ada)) == 1
    assert Inbox.objects.get(user=ada).revision == 0


def test_another_database_error_is_not_retried(ada, monkeypatch):
    tries = []

    def broken(user_ids, **options):
        tries.append(user_ids)
        raise OperationalError("the disk is full")

    monkeypatch.setattr(sequencing, "number_pending", broken)
    with pytest.raises(OperationalError, match="disk"):
        assign_revisions([ada.pk])
    assert len(tries) == 1
