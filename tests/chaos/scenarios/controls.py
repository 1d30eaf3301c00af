"""Negative controls: the checker must find their faults, or it proves nothing."""

import asyncio
import time

from tests.chaos.checker import check
from tests.chaos.clients import until
from tests.chaos.history import Event, History, ReaderLog
from tests.chaos.run import Run
from tests.chaos.scenario import Result, scenario


async def run_tutorial(run: Run, *, fault: bool) -> tuple[int, int]:
    """The tutorial's server under writes, and a Redis that is killed or not. Returns rows made and rows missing."""
    await run.start("tutorial")
    people = await run.start_live_readers(max(10, min(60, run.clients // 10)))
    run.start_http_writer(people, 30)
    await asyncio.sleep(1)
    if fault:
        await asyncio.to_thread(run.redis.kill)
        await asyncio.sleep(1)
        await asyncio.to_thread(run.redis.start)
    await asyncio.sleep(3)
    await run.stop_writers()
    # It assigns no revisions to wait for: allow the longest time of a push.
    await asyncio.sleep(3)
    verdict = check(run.history, await asyncio.to_thread(run.final_state))
    return verdict.expected, verdict.faults["missing"]


@scenario(
    "C1",
    how="control: the tutorial consumer, Redis killed for 1 s under 30 messages/s",
    demand="the checker finds rows missing",
)
async def tutorial_loses(run: Run) -> Result:
    made, missing = await run_tutorial(run, fault=True)
    return Result(f"{missing} of {made} rows never shown", missing > 0, control=True)


@scenario(
    "C2",
    how="the same without the fault: the checker must not report the shape of its frames",
    demand="the checker finds nothing missing",
)
async def tutorial_without_a_fault(run: Run) -> Result:
    made, missing = await run_tutorial(run, fault=False)
    return Result(f"{missing} of {made} rows never shown", made > 0 and missing == 0)


@scenario(
    "C3",
    how="control: the tutorial's presence flag, kill -9 of its process",
    demand="the checker finds users shown online without a socket",
)
async def tutorial_presence(run: Run) -> Result:
    node = await run.start("tutorial")
    await run.start_live_readers(20)
    await until(lambda: len(run.shown_online()) == 20, 20, "online")
    await asyncio.to_thread(node.kill)
    for reader in run.readers:
        await reader.stop()
    # Long after our own leases would have ended.
    seconds = 35
    try:
        await run.wait_for_true_presence(seconds)
    except TimeoutError as error:
        return Result(str(error), True, control=True)
    return Result("presence became correct", False, control=True)


@scenario(
    "C4",
    how="control: a reader that tails ids, beside the real ones of T13",
    demand="the checker finds that it skips rows, and that the others don't",
)
async def id_tail(run: Run) -> Result:
    await run.start()
    people = await run.start_live_readers(6)
    await run.start_orm_writer(people, 400, threads=6, max_seconds=0.02)
    tail, seen = ReaderLog("tails ids", people[0]["id"]), set[int]()
    ended = time.monotonic() + 8
    while time.monotonic() < ended:
        await asyncio.to_thread(read_after_last_id, run, tail, seen)
    await run.stop_writers()
    await asyncio.to_thread(read_after_last_id, run, tail, seen)
    verdict = await run.verdict()
    state = await asyncio.to_thread(run.final_state)
    found = check(History(run.history.writes, [tail]), state)
    figure = f"it skipped {found.faults['missing']} of {found.expected} rows; the others: {verdict}"
    return Result(figure, found.faults["missing"] > 0 and verdict.ok, control=True)


def read_after_last_id(run: Run, tail: ReaderLog, seen: set[int]) -> None:
    """Read everything after the last id seen, and what became of what was seen before."""
    rows = run.database.read(
        f"SELECT id, is_read, removed_at IS NOT NULL FROM messaging_notification WHERE user_id = {tail.user}"
    )
    last = max(seen, default=0)
    seen.update(pk for pk, _, _ in rows if pk > last)
    gone = [pk for pk, _, removed in rows if removed and pk in seen]
    shown = {pk: is_read for pk, is_read, removed in rows if not removed and pk in seen}
    tail.events.append(Event(time.monotonic(), "list", added=shown, removed=gone))
