"""What has changed in presence since a moment, so that no change is passed over: for whoever tells of it late."""

from datetime import datetime, timedelta

from django.db import connection

from . import schemas
from .models import Contact, UserProfile

# On SQLite no other writer can wait longer for a transaction than this, its `timeout`; none should last as long.
LONGEST_ON_SQLITE = timedelta(seconds=30)
MARGIN = timedelta(seconds=2)
# What PostgreSQL knows to be going on: no change that is committed from now on carries an earlier time than this.
HORIZON = """
SELECT LEAST(statement_timestamp(), MIN(
    CASE WHEN backend_xid IS NOT NULL THEN xact_start WHEN state = 'active' THEN query_start END
)) FROM pg_stat_activity WHERE datname = current_database()
"""


def horizon() -> datetime:
    """Return the time such that every change of presence with an earlier one can be seen already.

    A row gets its `changed_at` when it is written, and is seen when that transaction commits: there may be an hour
    between. (Of another database role's transactions PostgreSQL tells nothing: MARGIN is all that they have.)
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(HORIZON)
            moment: datetime = cursor.fetchone()[0]
            return moment - MARGIN
        cursor.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
        return schemas.as_utc(cursor.fetchone()[0]) - LONGEST_ON_SQLITE


def changed_since(moment: datetime) -> dict[int, int]:
    """Return the versions of the profiles that changed from that moment of the database's clock on, by user id."""
    return dict(UserProfile.objects.filter(changed_at__gte=moment).values_list("user_id", "version"))


def met_since(moment: datetime) -> set[tuple[int, int]]:
    """Return the pairs of people who met from that moment of the database's clock on."""
    return set(Contact.objects.filter(met_at__gte=moment).values_list("low_id", "high_id"))
