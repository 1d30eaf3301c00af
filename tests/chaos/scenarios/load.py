"""Many sockets, many writes, malformed input, and databases with many writers."""

import asyncio
import json
import os
import time
from collections.abc import Sequence

import redis

from tests.chaos import faults
from tests.chaos.clients import Reader, until
from tests.chaos.run import Run, run_python
from tests.chaos.scenario import Result, mb, ms, scenario
from tests.chaos.scenarios.slow import notify_users


@scenario(
    "T9",
    how="10,000 sockets at one node: opened, a broadcast to all, closed, and opened again",
    demand="100 % accepted, ≤ 40 KB RSS each, broadcast p99 ≤ 5 s, RSS after it within 15 % of before",
)
async def ten_thousand(run: Run) -> Result:
    node = await run.start()
    first = await run.start_live_readers(10)
    before = node.rss()
    count = min(len(run.testbed.template.people) - 64 - 10, 5 * run.clients) - 10
    began = time.monotonic()
    people = await run.start_live_readers(count, 300)
    opened = time.monotonic() - began
    refused = sum(reader.refused for reader in run.readers)
    await asyncio.sleep(2)
    open_rss = node.rss()
    await notify_users(run, [person["id"] for person in (*first, *people)])
    verdict = await run.verdict(120)
    stale = verdict.staleness_percentile()
    await asyncio.gather(*(reader.stop() for reader in run.readers))
    query = "SELECT count(*) FROM realtime_connection"
    await until(lambda: run.database.read(query) == [(0,)], 60, "the end of all sockets", 0.5)
    await asyncio.sleep(12)  # a user's state is kept for 10 s after the last socket
    after = node.rss()
    # Memory that isn't returned to the system is at least reused.
    returned = run.start_readers([*first, *people])
    await until(lambda: all(reader.live for reader in returned), 120, "all readers once more", 0.5)
    again = node.rss()
    each = (open_rss - before) / count / 1024
    figure = (
        f"{count} opened in {opened:.0f} s, {refused} refused; {each:.0f} KB each; broadcast p99 {ms(stale)}"
        f" after commit; RSS {mb(before)} before, {mb(open_rss)} open, {mb(after)} closed, {mb(again)} open again;"
        f" {verdict}"
    )
    met = verdict.ok and not refused and each <= 40 and stale <= 5 and after <= 1.15 * before
    return Result(figure, met)


@scenario(
    "T11",
    how="5,000 seeded cases of mutilated frames, and a list of bad handshakes and floods, on `serve` and on Daphne,"
    " a canary beside them (tests/live/test_bad_bytes.py)",
    demand="0 tracebacks, 0 restarts, RSS ≤ +20 MB, the canary misses nothing",
)
async def fuzz(run: Run) -> Result:
    environment = {
        **run.environment,
        "DATABASE_URL": run.testbed.template.url,
        "FUZZ_CASES": "5000",
        "FUZZ_SEED": str(run.random.randrange(10**6)),
    }
    options = ("-q", "-s", "--no-header", "-p", "no:cacheprovider", "-o", "timeout=380")
    code, lines = await run_python(
        "-m", "pytest", *options, "tests/live/test_bad_bytes.py", environment=environment
    )
    figures = [line.split("; ended")[0] for line in lines if "; ended with" in line]
    return Result("; ".join([*figures, lines[-1]])[:300], code == 0)


@scenario(
    "T13",
    how="6 writers to few users, transactions of random length, bulk, 10 % rolled back; PostgreSQL, then SQLite",
    demand="revisions contiguous, 0 missing, 0 deadlocks surfaced",
)
async def commit_order(run: Run) -> Result:
    figures, met = [], True
    for on_sqlite in (False, True):
        inner = Run(run.testbed, f"{run.name}-{'sqlite' if on_sqlite else 'postgresql'}", run.clients, 0)
        inner.seed, inner.on_sqlite = f"{run.seed}-{on_sqlite}", on_sqlite
        try:
            await inner.start()
            people = await inner.start_live_readers(6)
            writer = await inner.start_orm_writer(people, 400, threads=6, max_seconds=0.02)
            await asyncio.sleep(10)
            verdict = await inner.verdict()
        finally:
            await inner.close()
        count = inner.history.acknowledged()
        met = met and verdict.ok and not writer.errors and count > 500
        database = "SQLite" if on_sqlite else "PostgreSQL"
        figures.append(f"{database}: {count} changes, {len(writer.errors)} errors; {verdict}")
    return Result("; ".join(figures), met)


# A nightly run may take 1,800.
SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))


@scenario(
    "T21",
    how="soak of 60 s: 500 clients, a fifth of them reconnecting each second, 300 writes/s",
    demand="after 20 s of warm-up RSS < +1 MB/min a node, files and Redis connections flat",
)
async def soak(run: Run) -> Result:
    nodes = await run.start_two()
    people = await run.start_live_readers(min(500, max(20, run.clients // 4)))
    for reader in run.readers:
        reader.retry_seconds = 0.5
    for _ in range(3):
        await run.start_orm_writer(people, 100, changes=False)
    client = redis.Redis(port=run.redis.port)
    samples: list[tuple[float, list[int], list[int], int]] = []
    began = time.monotonic()
    while (now := time.monotonic() - began) < 20 + SOAK_SECONDS:
        for reader in run.random.sample(run.readers, len(run.readers) // 5):
            churn(run, reader)
        if now > 20:
            clients = int(client.info("clients")["connected_clients"])
            rss, files = [node.rss() for node in nodes], [faults.open_files(node.pid) for node in nodes]
            samples.append((now, rss, files, clients))
        await asyncio.sleep(1)
    client.close()
    verdict = await run.verdict()
    slopes = [slope([(at, rss[which]) for at, rss, _, _ in samples]) * 60 for which in range(len(nodes))]
    first_files, last_files = samples[0][2], samples[-1][2]
    redis_clients = [sample[3] for sample in samples]
    connects = sum(event.kind == "open" for log in run.history.logs for event in log.events)
    growth = ", ".join(f"{each / 2**20:+.1f}" for each in slopes)
    half = len(samples) // 2
    later = [
        slope([(at, rss[which]) for at, rss, _, _ in samples[half:]]) * 60 for which in range(len(nodes))
    ]
    growth += f" (second half {', '.join(f'{each / 2**20:+.1f}' for each in later)})"
    figure = (
        f"{connects} connects, {run.history.acknowledged()} writes; RSS {growth} MB/min; files {first_files},"
        f" then {last_files}; Redis connections {min(redis_clients)} to {max(redis_clients)}; {verdict}"
    )
    met = verdict.ok and max(slopes) < 2**20 and max(redis_clients) - min(redis_clients) <= 4
    return Result(figure, met)


def churn(run: Run, reader: Reader) -> None:
    if reader.socket is not None:
        if run.random.random() < 0.5:
            reader.socket.reset()
        else:
            reader.socket.close()


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the line that fits best."""
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


# Saves in a plain thread, back to back and then 100 a second, with the relay and without it by turns.
SAVES = """
import json, threading, time
import django
django.setup()
from django.conf import settings
from django.contrib.auth.models import User
from messaging.models import Message
from realtime.outbound import receivers
sender, receiver = User.objects.order_by("pk")[:2]
def save(count, pause):
    took = {True: [], False: []}
    for number in range(count // 100):
        settings.REALTIME_RELAY = number % 2 == 0
        for _ in range(100):
            time.sleep(pause)
            began = time.perf_counter()
            Message.objects.create(sender=sender, receiver=receiver, content="Cost")
            took[settings.REALTIME_RELAY].append(time.perf_counter() - began)
        receivers.flush(5)
    print(json.dumps([sorted(took[on])[len(took[on]) // 2] for on in (True, False)]))
def saves():
    save(5000, 0)
    save(1000, 0.01)
thread = threading.Thread(target=saves)
thread.start()
thread.join()
"""


@scenario(
    "T22",
    how="5,000 saves back to back in a plain thread without an event loop, and 1,000 at 100 a second",
    demand="≤ 5 Redis connections in all, +0.3 ms a save (p50) at most",
)
async def publisher_cost(run: Run) -> Result:
    environment = {**run.environment, "DJANGO_SETTINGS_MODULE": "config.settings"}
    client = redis.Redis(port=run.redis.port)

    def connections() -> int:
        return int(client.info("stats")["total_connections_received"])

    before = connections()
    code, lines = await run_python("-c", SAVES, environment=environment)
    assert code == 0, lines[-5:]
    made = connections() - before
    client.close()
    figures, costs = [f"{made} Redis connections"], []
    for line, what in zip(lines[-2:], ("back to back", "100 a second"), strict=True):
        pushing, silent = json.loads(line)
        costs.append(pushing - silent)
        figures.append(
            f"{what}: p50 {pushing * 1000:.2f} ms with pushes, {silent * 1000:.2f} ms without:"
            f" {costs[-1] * 1000:+.2f} ms"
        )
    return Result("; ".join(figures), made <= 5 and max(costs) <= 0.0003)


@scenario(
    "T24",
    how="SQLite and the in-memory layer: one server, 3 writing processes beside it",
    demand="0 `database is locked`; the sweep, of 1 s, brings other processes' rows: staleness p99 ≤ 2 s",
)
async def sqlite_embedded(run: Run) -> Result:
    run.on_sqlite = True
    await run.start()
    people = await run.start_live_readers(30)
    writers = [await run.start_orm_writer(people, 20, max_seconds=0) for _ in range(3)]
    await asyncio.sleep(12)
    verdict = await run.verdict()
    locked = sum("locked" in error for writer in writers for error in writer.errors)
    locked += sum(server.log.read_text(errors="replace").count("is locked") for server in run.servers)
    stale = verdict.staleness_percentile()
    figure = (
        f"{run.history.acknowledged()} changes, {locked} lock errors; staleness p99 {ms(stale)}; {verdict}"
    )
    return Result(figure, verdict.ok and not locked and stale <= 2 and len(verdict.staleness) > 100)
