"""Negative controls: what the checker must find fault with, or it proves nothing."""

import asyncio
import time

from tests.chaos.checker import check
from tests.chaos.clients import until
from tests.chaos.history import Heard, History, Log
from tests.chaos.scenario import Result, scenario
from tests.chaos.stage import Stage


async def play_tutorial(stage: Stage, *, fault: bool) -> tuple[int, int]:
    """The tutorial's server under writes, and a Redis that is killed or not. Returns rows made and rows missing."""
    await stage.start("tutorial")
    people = await stage.audience(max(10, min(60, stage.clients // 10)))
    stage.write_http(people, 30)
    await asyncio.sleep(1)
    if fault:
        await asyncio.to_thread(stage.redis.kill)
        await asyncio.sleep(1)
        await asyncio.to_thread(stage.redis.start)
    await asyncio.sleep(3)
    await stage.stop_writing()
    # It deals no revisions to settle by: as long as a hint may take.
    await asyncio.sleep(3)
    verdict = check(stage.history, await asyncio.to_thread(stage.truth))
    return verdict.expected, verdict.faults["missing"]


@scenario(
    "C1",
    how="control: the tutorial consumer, Redis killed for 1 s under 30 messages/s",
    demand="the checker finds rows missing",
)
async def tutorial_loses(stage: Stage) -> Result:
    made, missing = await play_tutorial(stage, fault=True)
    return Result(f"{missing} of {made} rows never shown", missing > 0, control=True)


@scenario(
    "C2",
    how="the same without the fault, so that it isn't blamed for its shape",
    demand="the checker finds nothing missing",
)
async def tutorial_without_a_fault(stage: Stage) -> Result:
    made, missing = await play_tutorial(stage, fault=False)
    return Result(f"{missing} of {made} rows never shown", made > 0 and missing == 0)


@scenario(
    "C3",
    how="control: the tutorial's presence flag, kill -9 of its process",
    demand="the checker finds people shown online who are not",
)
async def tutorial_presence(stage: Stage) -> Result:
    node = await stage.start("tutorial")
    await stage.audience(20)
    await until(lambda: len(stage.online()) == 20, 20, "online")
    await asyncio.to_thread(node.kill)
    for reader in stage.readers:
        await reader.stop()
    # Long after our own leases would have ended.
    seconds = 35
    try:
        await stage.presence_is_true(seconds)
    except TimeoutError as error:
        return Result(str(error), True, control=True)
    return Result("presence came right", False, control=True)


@scenario(
    "C4",
    how="control: a reader that tails ids, beside the real ones of T13",
    demand="the checker finds that it skips rows; nobody else does",
)
async def id_tail(stage: Stage) -> Result:
    await stage.start()
    people = await stage.audience(6)
    await stage.write_orm(people, 400, threads=6, longest=0.02)
    tail, seen = Log("tails ids", people[0]["id"]), set[int]()
    ended = time.monotonic() + 8
    while time.monotonic() < ended:
        await asyncio.to_thread(read_on, stage, tail, seen)
    await stage.stop_writing()
    await asyncio.to_thread(read_on, stage, tail, seen)
    verdict = await stage.verdict()
    truth = await asyncio.to_thread(stage.truth)
    found = check(History(stage.history.writes, [tail]), truth)
    figure = f"it skipped {found.faults['missing']} of {found.expected} rows; the others: {verdict}"
    return Result(figure, found.faults["missing"] > 0 and verdict.ok, control=True)


def read_on(stage: Stage, tail: Log, seen: set[int]) -> None:
    """Read everything after the last id seen, and what became of what was seen before."""
    rows = stage.database.read(
        f"SELECT id, is_read, removed_at IS NOT NULL FROM messaging_notification WHERE user_id = {tail.user}"
    )
    last = max(seen, default=0)
    seen.update(pk for pk, _, _ in rows if pk > last)
    gone = [pk for pk, _, removed in rows if removed and pk in seen]
    shown = {pk: is_read for pk, is_read, removed in rows if not removed and pk in seen}
    tail.heard.append(Heard(time.monotonic(), "list", added=shown, removed=gone))
