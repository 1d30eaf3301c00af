"""Redis and PostgreSQL that are killed, restarted, frozen or cut off; and channel layers that lose messages."""

import asyncio
import itertools
import json
import time
from typing import Any

import msgpack
import redis

from tests.chaos import faults
from tests.chaos.checker import percentile
from tests.chaos.clients import until
from tests.chaos.history import History
from tests.chaos.run import Run, run_python
from tests.chaos.scenario import Result, ms, scenario


def save_percentile(
    history: History, since: float = 0.0, until: float = float("inf"), share: float = 0.99
) -> float:
    """The seconds that this share of the saves over HTTP that began in that time didn't exceed."""
    return percentile((took for began, took in history.saves if since <= began <= until), share)


def disconnects(run: Run) -> int:
    return sum(event.kind == "closed" for log in run.history.logs for event in log.events)


@scenario(
    "T3",
    how="Redis killed, empty again after 2 s, three times; 100 writes/s",
    demand="0 sockets closed, 0 missing, staleness p99 ≤ 3 s, a save's p99 in the outage ≤ +200 ms",
)
async def redis_restarts(run: Run) -> Result:
    await run.start_two()
    people = await run.start_live_readers(max(20, run.clients // 2))
    await run.start_orm_writer(people, 60)
    run.start_http_writer(people[:200], 40)
    began = time.monotonic()
    await asyncio.sleep(6)
    first = time.monotonic()
    outages = []
    for _ in range(3):
        down = time.monotonic()
        await asyncio.to_thread(run.redis.kill)
        await asyncio.sleep(2)
        await asyncio.to_thread(run.redis.start)
        outages.append((down, time.monotonic()))
        await asyncio.sleep(6)
    closed = disconnects(run)
    verdict = await run.verdict()
    before = save_percentile(run.history, began, first)
    during = max(save_percentile(run.history, *outage) for outage in outages)
    stale = verdict.staleness_percentile(first)
    figure = (
        f"{closed} closed; {verdict}; staleness p99 {ms(stale)}"
        f" (before {ms(verdict.staleness_percentile(began, first))},"
        f" longest {ms(verdict.staleness_percentile(first, share=1.0))});"
        f" save p99 {ms(during)}, before {ms(before)}"
    )
    return Result(figure, verdict.ok and not closed and stale <= 3 and during <= before + 0.2)


@scenario(
    "T4",
    how="the subscriber's TCP flow dies silently (network namespace), the stock layer and ours",
    demand="resync ≤ 5 s, CPU < 30 %, RSS growth < 20 MB; the stock layer freezes",
    needs_root=True,
)
async def redis_blackhole(run: Run) -> Result:
    code, lines = await run_python("-m", "tests.chaos.blackhole", environment=run.testbed.environment)
    return Result("; ".join(lines[-2:]), code == 0)


@scenario(
    "T4b",
    how="Redis frozen for 10 s (SIGSTOP); saves and new sockets meanwhile",
    demand="connect p99 ≤ 1.5 s, save p99 ≤ 250 ms, 0 missing in the end",
)
async def redis_hangs(run: Run) -> Result:
    await run.start_two()
    people = await run.start_live_readers(max(20, run.clients // 4))
    writer = run.start_http_writer(people[:200], 40)
    await asyncio.sleep(3)
    began = time.monotonic()
    run.redis.pause()
    try:
        await asyncio.sleep(1)
        late = run.start_readers(run.take_people(100))
        await until(lambda: all(reader.live for reader in late), 30, "sockets while Redis hangs")
        await asyncio.sleep(max(0.0, began + 10 - time.monotonic()))
    finally:
        run.redis.resume()
    ended = time.monotonic()
    await asyncio.sleep(2)
    verdict = await run.verdict()
    connect, save = verdict.recovery_percentile(began), save_percentile(run.history, began, ended)
    figure = (
        f"connect p99 {ms(connect)}, save p99 {ms(save)}, {writer.refused.total()} refused; {verdict};"
        f" staleness p99 {ms(verdict.staleness_percentile(began, ended))}, {disconnects(run)} closed"
    )
    met = verdict.ok and connect <= 1.5 and save <= 0.25 and not writer.refused and not disconnects(run)
    return Result(figure, met)


@scenario(
    "T5",
    how="PostgreSQL restarted under load: fast, immediate, then away for 40 s",
    demand="0 missing of what was acknowledged, first success ≤ 5 s after it is back, 0 stuck sockets",
)
async def postgresql_restarts(run: Run) -> Result:
    await run.start_two()
    people = await run.start_live_readers(max(20, run.clients // 2))
    writer = run.start_http_writer(people[:200], 30)
    await run.start_orm_writer(people, 50)
    firsts = []
    outages = ((run.postgresql.stop, 2), (run.postgresql.kill, 2), (run.postgresql.kill, 40))
    for end, seconds in outages:
        await asyncio.sleep(5)
        await asyncio.to_thread(end)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(run.postgresql.start)
        back = time.monotonic()
        count = len(run.history.saves)
        await until(lambda count=count: len(run.history.saves) > count, 60, "a save", 0.01)  # type: ignore[misc]
        firsts.append(time.monotonic() - back)
    await asyncio.sleep(5)
    closed = disconnects(run)
    verdict = await run.verdict()
    await run.wait_for_true_presence()
    stuck = sum(not reader.live for reader in run.readers)
    unknown = sum(write.outcome == "unknown" for write in run.history.writes)
    figure = (
        f"{run.history.acknowledged()} acknowledged, {unknown} writes failed ({writer.refused.total()} over HTTP):"
        f" {verdict}; first success after {', '.join(map(ms, firsts))}; {stuck} stuck, {closed} sockets closed,"
        " exactly the connected users shown online"
    )
    return Result(figure, verdict.ok and max(firsts) <= 5 and not stuck)


@scenario(
    "T15",
    how="a layer that loses 100 %, then one that loses 30 % at random",
    demand="0 missing; staleness p99 ≤ the sweep's period (5 s here) + 2 s",
)
async def lossy_layers(run: Run) -> Result:
    figures, met = [], True
    for share in ("1", "0.3"):
        inner = Run(run.testbed, f"{run.name}-{share}", run.clients, 0)
        inner.seed = f"{run.seed}-{share}"
        try:
            environment = {"DJANGO_SETTINGS_MODULE": "tests.chaos.settings", "CHAOS_DROP": share}
            await inner.start_two(REALTIME_SWEEP_SECONDS="5", **environment)
            people = await inner.start_live_readers(max(20, run.clients // 4))
            await inner.start_orm_writer(people, 60)
            await asyncio.sleep(12)
            verdict = await inner.verdict()
        finally:
            await inner.close()
        stale = verdict.staleness_percentile()
        met = met and verdict.ok and stale <= 7 and len(verdict.staleness) > 100
        figures.append(f"{float(share):.0%} lost: {verdict}, staleness p99 {ms(stale)}")
    return Result("; ".join(figures), met)


JUNK: list[dict[str, Any]] = [
    {"type": "doorbell.from.the.future", "v": 1, "user": 1},
    {"type": "doorbell.inbox", "v": 2, "user": 1, "what": "another version"},
    {"type": "doorbell.inbox", "v": 1},
    {"type": "doorbell.presence", "v": 1, "users": "all"},
    {"type": "websocket.close", "code": 4503},
    {"type": "chat.message", "text": "Hello"},
    {"v": 1},
    {},
]


@scenario(
    "T25",
    how="messages of unknown types, of another version and undecodable ones, to every group and to `presence`",
    demand="0 sockets closed, 0 missing; they are counted and ignored",
)
async def mixed_versions(run: Run) -> Result:
    await run.start_two()
    people = await run.start_live_readers(max(20, run.clients // 10))
    await run.start_orm_writer(people, 50)
    prefix = "doorbell"
    client = redis.Redis(port=run.redis.port)
    received = 0
    for user, junk in itertools.product([person["id"] for person in people], JUNK):
        received += client.publish(f"{prefix}__group__user.{user}", msgpack.packb({**junk, "user": user}))
    for junk in JUNK:
        received += client.publish(f"{prefix}__group__presence", msgpack.packb(junk))
    # Bytes that no channel layer sends.
    for junk_bytes in (b"", b"\xc1", b"x" * 1000, json.dumps(JUNK[0]).encode()):
        for person in people:
            received += client.publish(f"{prefix}__group__user.{person['id']}", junk_bytes)
    client.close()
    await asyncio.sleep(3)
    closed = disconnects(run)
    verdict = await run.verdict()
    ignored = sum(server.log.read_text(errors="replace").count("ignored") for server in run.servers)
    figure = (
        f"{received} taken by the servers, {closed} sockets closed; {verdict}; {ignored} lines in the log"
    )
    return Result(figure, verdict.ok and not closed and received > len(people))


@scenario(
    "T26",
    how="PostgreSQL and all its processes frozen for 5 s (SIGSTOP) under load",
    demand="threads bounded, 0 missing, first success ≤ 5 s after it goes on",
)
async def postgresql_hangs(run: Run) -> Result:
    nodes = await run.start_two()
    people = await run.start_live_readers(max(20, run.clients // 4))
    writer = run.start_http_writer(people[:200], 40)
    await run.start_orm_writer(people, 50)
    await asyncio.sleep(3)
    before = max(faults.threads(node.pid) for node in nodes)
    with faults.frozen(run.postgresql.pid):
        await asyncio.sleep(5)
        most = max(faults.threads(node.pid) for node in nodes)
    back, count = time.monotonic(), len(run.history.saves)
    await until(lambda: len(run.history.saves) > count, 60, "a save", 0.01)
    first = time.monotonic() - back
    await asyncio.sleep(5)
    most = max(most, *(faults.threads(node.pid) for node in nodes))
    closed = disconnects(run)
    verdict = await run.verdict()
    figure = (
        f"{before} threads before, at most {most}; first success after {ms(first)}; {verdict};"
        f" {writer.refused.total()} saves failed, {closed} sockets closed"
    )
    # Its HTTP threads (40 calls a second for 5 s, over two processes), and the few of the sockets.
    return Result(figure, verdict.ok and first <= 5 and most <= before + 110)
