"""A request that a drain gives up is answered 503, once."""

import asyncio

from realtime.delivery import drain
from realtime.http.giving_up import AsgiGivingUp
from realtime.tests.client import TIMEOUT, eventually

HEAD = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"late"}


class Request:
    """One whose view answers when it may."""

    def __init__(self, *, has_begun=False):
        self.has_begun, self.may_go_on, self.sent = has_begun, asyncio.Event(), []
        self.task = asyncio.create_task(AsgiGivingUp(self.application)({}, None, self.send))

    async def application(self, scope, receive, send):
        if self.has_begun:
            await send(HEAD)
        await self.may_go_on.wait()
        if not self.has_begun:
            await send(HEAD)
        await send(BODY)

    async def send(self, message):
        self.sent.append(message)

    async def end(self):
        self.may_go_on.set()
        await asyncio.wait_for(self.task, TIMEOUT)


async def test_what_has_no_answer_yet_gets_one_and_no_second():
    silent, begun = Request(), Request(has_begun=True)
    await eventually(lambda: len(drain.running_requests) == 2 and begun.sent)
    drain.give_up_requests()
    await eventually(lambda: len(silent.sent) == 2)
    head, body = answer = [*silent.sent]
    assert (head["status"], dict(head["headers"])[b"retry-after"]) == (503, b"1")
    assert b'"unavailable"' in body["body"]
    await silent.end()
    await begun.end()
    assert silent.sent == answer
    assert begun.sent == [HEAD, BODY]
    assert not drain.running_requests


async def test_only_of_one_that_was_given_up_a_cancellation_is_no_fault():
    given_up = Request()
    await eventually(lambda: drain.running_requests)
    drain.give_up_requests()
    await eventually(lambda: len(given_up.sent) == 2)
    other = Request()
    await eventually(lambda: len(drain.running_requests) == 2)
    for request in (given_up, other):
        request.task.cancel()
        await asyncio.wait([request.task], timeout=TIMEOUT)
    assert (given_up.task.done(), given_up.task.cancelled()) == (True, False)
    assert given_up.task.exception() is None
    assert other.task.cancelled()
