import pytest
from asgiref.sync import SyncToAsync
from django.test import AsyncClient

OURS = "realtime.http.one_thread.one_thread"


@pytest.mark.parametrize(("is_used", "changes"), [(True, range(1, 9)), (False, range(12, 30))])
async def test_a_request_changes_its_thread_seldom(transactional_db, settings, monkeypatch, is_used, changes):
    assert settings.MIDDLEWARE[-1] == OURS
    if not is_used:
        settings.MIDDLEWARE = settings.MIDDLEWARE[:-1]
    call, calls = SyncToAsync.__call__, []

    async def counted(self, *arguments, **options):
        calls.append(self)
        return await call(self, *arguments, **options)

    monkeypatch.setattr(SyncToAsync, "__call__", counted)
    answer = await AsyncClient().get("/api/v1/session")
    assert answer.status_code == 200
    assert len(calls) in changes
