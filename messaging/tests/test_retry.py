import pytest
from django.db import IntegrityError, OperationalError

from messaging.orm.retry import MAX_ATTEMPTS, retry_on_transient


class PostgresError(Exception):
    """psycopg's error, reduced to what the retry reads."""

    def __init__(self, sqlstate):
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


class Work:
    """A transaction that fails so many times."""

    def __init__(self, failures, error, state):
        self.calls, self.failures = 0, failures
        self.error, self.state = error, state

    def __call__(self):
        self.calls += 1
        if self.calls > self.failures:
            return "done"
        raise self.error from (self.state and PostgresError(self.state))


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (OperationalError("deadlock detected"), "40P01"),
        (OperationalError("could not serialize access"), "40001"),
        (IntegrityError("the user is gone"), "23503"),
    ],
)
def test_transient_errors_are_tried_three_times(error, state):
    work = Work(MAX_ATTEMPTS - 1, error, state)
    assert retry_on_transient(work) == "done"
    assert work.calls == 3
    work = Work(MAX_ATTEMPTS, error, state)
    with pytest.raises(type(error)):
        retry_on_transient(work)
    assert work.calls == 3


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (OperationalError("the connection is closed"), None),
        (OperationalError("canceling statement due to lock timeout"), "55P03"),
        (IntegrityError("there already"), "23505"),
        (ValueError("ours"), None),
    ],
)
def test_other_errors_are_raised_at_once(error, state):
    work = Work(1, error, state)
    with pytest.raises(type(error)):
        retry_on_transient(work)
    assert work.calls == 1
