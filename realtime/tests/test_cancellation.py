"""A request that is cancelled as the process ends is answered 503, once."""

import asyncio

import pytest

from realtime.delivery import drain
from realtime.http.cancellation import AsgiCancellation
from realtime.tests.client import TIMEOUT, eventually

HEAD = {"type": "http.response.start", "status": 200, "headers": []}


class Request:
    """One whose view goes on after a cancellation, as one in a thread does."""

    def __init__(self, *, has_begun=False):
        self.has_begun, self.may_answer, self.sent = has_begun, asyncio.Event(), []
        self.view: asyncio.Task[None] | None = None
        self.task = asyncio.create_task(AsgiCancellation(self.application)({}, None, self.send))

    async def application(self, scope, receive, send):
        if self.has_begun:
            await send(HEAD)
        self.view = asyncio.create_task(self.answer(send))
        await asyncio.wait([self.view])

    async def end_view(self):
        assert self.view
        self.may_answer.set()
        await asyncio.wait_for(self.view, TIMEOUT)

    async def answer(self, send):
        await self.may_answer.wait()
        await send(HEAD)

    async def send(self, message):
        self.sent.append(message)

    async def cancel(self):
        await eventually(lambda: self.view)
        self.task.cancel()
        await asyncio.wait([self.task], timeout=TIMEOUT)


async def test_in_a_drain(monkeypatch):
    monkeypatch.setattr(drain, "draining", True)
    request = Request()
    await request.cancel()
    head, body = request.sent
    assert head["status"] == 503
    assert dict(head["headers"])[b"retry-after"] == b"1"
    assert b'"unavailable"' in body["body"]
    # Or uvicorn would log it, and answer 500.
    assert not request.task.cancelled()
    # The view's own answer can't follow.
    await request.end_view()
    assert request.sent == [head, body]


@pytest.mark.parametrize(("draining", "has_begun"), [(False, False), (True, True)])
async def test_without_a_drain_or_after_the_head_it_is_cancelled(monkeypatch, draining, has_begun):
    monkeypatch.setattr(drain, "draining", draining)
    request = Request(has_begun=has_begun)
    await request.cancel()
    assert request.task.cancelled()
    assert request.sent == [HEAD] * has_begun
    await request.end_view()
