"""realtime/timeline.py: a database that is older than what servers have seen is noticed, and nothing else is."""

import logging
from datetime import timedelta

import pytest
from channels.layers import get_channel_layer
from django.db.models import F

from realtime import timeline
from realtime.models import Timeline
from realtime.timeline import TimelineWatch

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def row(db):
    timeline.begin()


@pytest.fixture(autouse=True)
def empty_redis():
    if (found := timeline._redis()) is not None:
        client, key = found
        client.delete(key)
        client.close()


@pytest.fixture
def without_redis(monkeypatch):
    monkeypatch.setattr(timeline, "_redis", lambda: None)


def restore(seconds=60):
    """The row is as it was so long ago."""
    Timeline.objects.update(seen_at=F("seen_at") - timedelta(seconds=seconds))


def test_a_database_that_goes_on_is_never_called_older(caplog):
    watches = [TimelineWatch(), TimelineWatch()]
    dates = []
    for _ in range(3):
        for watch in watches:
            watch.check()
            assert watch.missing_since is None
            dates.append(Timeline.objects.get().seen_at)
    assert dates == sorted(dates)
    assert not caplog.records


def test_a_clock_that_goes_back_doesnt_take_the_date_back():
    watch = TimelineWatch()
    watch.check()
    Timeline.objects.update(seen_at=F("seen_at") + timedelta(hours=1))
    ahead = Timeline.objects.get().seen_at
    for _ in range(2):
        watch.check()
    assert watch.missing_since is None
    assert Timeline.objects.get().seen_at == ahead


def test_a_process_that_ran_all_the_time_notices_an_older_database(without_redis, caplog):
    watch = TimelineWatch()
    watch.check()
    restore()
    watch.check()
    watch.check()
    found = Timeline.objects.get().seen_at
    assert watch.missing_since == found
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "manage.py after_restore" in record.getMessage()
    assert f"{found:%Y-%m-%d %H:%M:%S} UTC" in record.getMessage()


def test_a_process_that_remembers_nothing_may_date_it_and_it_stays_older_for_the_others(without_redis):
    watch = TimelineWatch()
    watch.check()
    restore()
    watch.check()
    TimelineWatch().check()
    assert watch.missing_since is not None
    assert Timeline.objects.get().seen_at > watch.missing_since
    watch.check()
    assert watch.missing_since is not None


def test_another_timeline_is_compared_with_nothing_of_the_earlier_one(without_redis):
    watch = TimelineWatch()
    watch.check()
    restore()
    watch.check()
    timeline.begin()
    watch.check()
    assert watch.missing_since is None
    assert Timeline.objects.count() == 1
    restore()
    watch.check()
    assert watch.missing_since is not None


def test_an_older_backup_than_the_last_one_restored_is_noticed_by_its_own_name(without_redis):
    watch = TimelineWatch()
    watch.check()
    first = Timeline.objects.get()
    timeline.begin()
    watch.check()
    Timeline.objects.update(name=first.name, seen_at=first.seen_at - timedelta(seconds=60))
    watch.check()
    assert watch.missing_since is not None


def test_a_row_that_is_missing_is_made_anew(without_redis):
    watch = TimelineWatch()
    watch.check()
    Timeline.objects.all().delete()
    watch.check()
    watch.check()
    assert watch.missing_since is None
    assert Timeline.objects.count() == 1


def test_a_process_that_has_just_started_knows_it_from_redis():
    TimelineWatch().check()
    restore()
    started = TimelineWatch()
    started.check()
    # With the layer in memory there is nothing to know it from.
    knows = timeline._redis() is not None
    assert knows is hasattr(get_channel_layer(), "_kwargs")
    assert (started.missing_since is not None) is knows


def test_a_redis_that_is_away_hinders_nothing(monkeypatch):
    from realtime.redis_client import redis_client

    monkeypatch.setattr(timeline, "_redis", lambda: (redis_client({"host": "127.0.0.1", "port": 1}), "key"))
    watch = TimelineWatch()
    watch.check()
    assert watch.missing_since is None
    restore()
    watch.check()
    assert watch.missing_since is not None
