"""Server processes that are killed, drained, reconnected to all at once, and whose clocks differ."""

import asyncio
import contextlib
import os
import shlex
import sys
import time
from typing import Any

import httpx
import psycopg

from tests.chaos.blackhole import blackhole
from tests.chaos.clients import FIRST_RETRY_SECONDS, Reader, until
from tests.chaos.faults import CRASHES
from tests.chaos.run import Run, run_program
from tests.chaos.scenario import Result, ms, scenario
from tests.live.client import CSRF
from tests.live.servers import ROOT, Server

SERVICE_RESTART = 1012
# Set for a run that is alone in a network namespace.
INSIDE = "CHAOS_INSIDE_A_NAMESPACE"


def connected_to(readers: list[Reader], server: Server) -> list[Reader]:
    return [reader for reader in readers if reader.port == server.port]


async def wait_until_graces_end(run: Run, seconds: float = 60) -> None:
    """Wait until no user's offline grace is running."""
    query = "SELECT count(*) FROM messaging_userprofile WHERE offline_after IS NOT NULL"
    await until(lambda: run.database.read(query) == [(0,)], seconds, "the end of every grace", 0.5)


@scenario(
    "T1",
    how="2 nodes, 200 writes/s, kill -9 of one at 10 s, back at 20 s",
    demand="0 missing, out of order, doubled, phantom; p99 from a client's first retry to synced ≤ 5 s",
)
async def kill_a_node(run: Run) -> Result:
    node, _ = await run.start_two()
    people = await run.start_live_readers(run.clients)
    await run.start_orm_writer(people, 170)
    run.start_http_writer(people[:200], 30)
    await asyncio.sleep(10)
    hit = len(connected_to(run.readers, node))
    killed = time.monotonic()
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(10)
    await asyncio.to_thread(node.start)
    await asyncio.sleep(10)
    verdict = await run.verdict()
    recovery = verdict.recovery_percentile(killed)
    figure = (
        f"{run.history.acknowledged()} rows acknowledged, {verdict.expected} deliveries: {verdict};"
        f" {hit} sockets cut, recovery p99 {ms(recovery)}; staleness p99 {ms(verdict.staleness_percentile())}"
    )
    return Result(figure, verdict.ok and recovery <= 5)


@scenario(
    "T2",
    how="people with a tab on one node only, on the other only, on both; kill -9 of the one",
    demand="users of the dead node offline ≤ 30 s; users with a tab on the other never shown offline",
)
async def presence_after_a_kill(run: Run) -> Result:
    node, other = await run.start_two()
    count = max(10, run.clients // 10)
    gone, both = run.take_people(count), run.take_people(count)
    there = run.start_readers(gone, lambda: [node.port])
    run.start_readers(both, lambda: [node.port])
    run.start_readers(both, lambda: [other.port])
    await until(lambda: all(reader.live for reader in run.readers), 60, "live readers")
    await run.wait_for_true_presence()
    before = run.presence_versions()
    killed = time.monotonic()
    await asyncio.to_thread(node.kill)
    await asyncio.gather(*(reader.stop() for reader in there))
    ids = {person["id"] for person in gone}
    await until(lambda: not ids & run.shown_online(), 60, "offline", 0.1)
    took = time.monotonic() - killed
    await wait_until_graces_end(run)
    after = run.presence_versions()
    went_offline = sum(after[person["id"]] != before[person["id"]] for person in both)
    figure = f"{count} offline after {took:.1f} s; {went_offline} of {count} with another tab shown offline"
    return Result(figure, took <= 30 and not went_offline)


@scenario(
    "T6",
    how="rolling restart of 2 nodes by SIGTERM under 100 writes/s",
    demand="100 % 1012, ≤ 20 % of the sockets in 100 ms, 0 missing, 0 false offline, exit ≤ 15 s",
)
async def rolling_restart(run: Run) -> Result:
    nodes = await run.start_two()
    people = await run.start_live_readers(run.clients)
    await run.wait_for_true_presence()
    before = run.presence_versions()
    await run.start_orm_writer(people, 80)
    run.start_http_writer(people[:200], 20)
    await asyncio.sleep(3)
    exits, codes, peaks = [], [], []
    for node in nodes:
        cut = connected_to(run.readers, node)
        marks = {reader.log.name: len(reader.log.events) for reader in cut}
        began = time.monotonic()
        await asyncio.to_thread(node.stop, 60)
        exits.append(time.monotonic() - began)
        ends = [
            next(event for event in reader.log.events[marks[reader.log.name] :] if event.kind == "closed")
            for reader in cut
        ]
        codes += [event.number for event in ends]
        buckets: dict[int, int] = {}
        for event in ends:
            bucket = int(event.at * 10)
            buckets[bucket] = buckets.get(bucket, 0) + 1
        peaks.append(max(buckets.values(), default=0) / max(1, len(ends)))
        await asyncio.to_thread(node.start)
        await until(lambda: all(reader.live for reader in run.readers), 60, "all readers back")
    verdict = await run.verdict()
    await wait_until_graces_end(run)
    after = run.presence_versions()
    went_offline = sum(after.get(user, 0) != version for user, version in before.items())
    share = sum(code == SERVICE_RESTART for code in codes) / max(1, len(codes))
    figure = (
        f"{len(codes)} sockets: {share:.0%} 1012, at most {max(peaks):.0%} in 100 ms; {verdict};"
        f" {went_offline} false offline; exit after {max(exits):.1f} s"
    )
    met = verdict.ok and share == 1 and max(peaks) <= 0.2 and not went_offline and max(exits) <= 15
    return Result(figure, met)


@scenario(
    "T8",
    how="50 clients' TCP flows die silently (network namespace); 50 others stay",
    demand="50 of 50 cleaned up ≤ 45 s, and shown offline; the others are not affected",
    needs_root=True,
)
async def half_open(run: Run) -> Result:
    if INSIDE not in os.environ:
        again = f"--only T8 --seed {run.random.randrange(10**6)} --clients {run.clients}"
        command = f"ip link set lo up && exec {shlex.quote(sys.executable)} -m tests.chaos {again}"
        _, lines = await run_program(
            *("unshare", "--net", "sh", "-c", command), environment={**run.testbed.environment, INSIDE: "1"}
        )
        line_of_t8 = next((line for line in lines if "] T8: " in line and "met: " in line), lines[-1])
        return Result(line_of_t8.split("met: ", 1)[-1], "] T8: met: " in line_of_t8)
    await run.start()
    dying, staying = run.take_people(50), run.take_people(50)
    doomed = run.start_readers(dying)
    run.start_readers(staying)
    await until(lambda: all(reader.live for reader in run.readers), 30, "live readers")
    await run.start_orm_writer(staying, 20)
    died = time.monotonic()
    for reader in doomed:
        assert reader.socket is not None
        blackhole(reader.socket.transport.get_extra_info("sockname")[1])
        # The client doesn't notice either, and doesn't reconnect.
        reader.log.left = True
    ids = {person["id"] for person in dying}
    query = "SELECT DISTINCT user_id FROM realtime_connection"
    await until(lambda: not ids & {user for (user,) in run.database.read(query)}, 100, "the clean-up", 0.5)
    cleaned = time.monotonic() - died
    await until(lambda: not ids & run.shown_online(), 60, "offline", 0.5)
    offline = time.monotonic() - died
    verdict = await run.verdict()
    figure = (
        f"50 of 50 cleaned up after {cleaned:.1f} s, offline after {offline:.1f} s; the others: {verdict}"
    )
    return Result(figure, verdict.ok and cleaned <= 45)


@scenario(
    "T10",
    how="every socket reset at once; clients come back with full jitter 0-5 s",
    demand="all back ≤ 20 s, 0 handshakes refused with 5xx, database connections ≤ the pools' bound",
)
async def reconnect_storm(run: Run) -> Result:
    await run.start_two()
    count = min(len(run.testbed.template.people) - 64, run.clients * 5 // 2)
    people = await run.start_live_readers(count, 240)
    await run.start_orm_writer(people, 50)
    most = 0

    def all_back() -> bool:
        nonlocal most
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        most = max(most, run.database.read(query)[0][0])
        return all(reader.live for reader in run.readers)

    sockets = [reader.socket for reader in run.readers if reader.socket is not None]
    began = time.monotonic()
    for socket in sockets:
        socket.reset()
    await until(
        lambda: not any(socket.transport.is_closing() and not socket.closed.done() for socket in sockets), 20
    )
    await until(all_back, 120, "all readers back", 0.2)
    took = time.monotonic() - began
    verdict = await run.verdict()
    refused = sum(reader.refused for reader in run.readers)
    # Two servers' pools, the writer's connections, and this query's.
    bound = 2 * 20 + 4
    figure = (
        f"{len(sockets)} sockets, all back after {took:.1f} s (backoff up to {FIRST_RETRY_SECONDS:g} s included);"
        f" {refused} refused; at most {most} database connections; {verdict}"
    )
    return Result(figure, verdict.ok and took <= 20 and not refused and most <= bound)


@scenario(
    "T14",
    how="50 processes die between COMMIT and the event",
    demand="50 of 50 delivered ≤ 5 s",
)
async def crash_between_commit_and_push(run: Run) -> Result:
    await run.start_two()
    people = await run.start_live_readers(50)
    crashing = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CRASHES, ",".join(str(person["id"]) for person in people)),
        cwd=ROOT,
        env={**run.environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert crashing.stdout is not None
    made: dict[int, float] = {}
    while line := await crashing.stdout.readline():
        made[int(line.split()[1])] = time.monotonic()
    assert await crashing.wait() == 0

    def first_seen() -> dict[int, float]:
        return {
            pk: event.at
            for reader in run.readers
            for event in reversed(reader.log.events)
            for pk in event.added
        }

    with contextlib.suppress(TimeoutError):
        await until(lambda: made.keys() <= first_seen().keys(), 30, pause=0.2)
    seen = first_seen()
    waits = [seen[pk] - at for pk, at in made.items() if pk in seen]
    verdict = await run.verdict()
    figure = f"{len(waits)} of {len(made)} delivered, the last after {max(waits, default=0):.1f} s; {verdict}"
    return Result(figure, verdict.ok and len(waits) == 50 and max(waits) <= 5)


@scenario(
    "T23",
    how="10 HTTP calls that wait 3 s for a row lock; 50 writes/s to other users meanwhile",
    demand="the others' delivery p99 ≤ 300 ms",
)
async def blocking_calls(run: Run) -> Result:
    node = await run.start()
    people = await run.start_live_readers(max(20, run.clients // 10))
    [victim] = run.take_people(1)
    await run.start_orm_writer(people, 50)
    await asyncio.sleep(2)
    async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as http:

        async def message(sender: dict[str, Any]) -> int:
            answer = await http.post(
                f"{node.url}/api/v1/messages",
                json={"receiver": victim["username"], "content": "Blocked"},
                headers={"X-CSRFToken": CSRF, "Cookie": f"sessionid={sender['session']}; csrftoken={CSRF}"},
            )
            return answer.status_code

        # A foreign key's check waits for the transaction that holds the row it points to.
        with psycopg.connect(run.database.url) as holder:
            holder.execute("SELECT 1 FROM auth_user WHERE id = %s FOR UPDATE", [victim["id"]])
            began = time.monotonic()
            waiting = [asyncio.create_task(message(person)) for person in people[:10]]
            await asyncio.sleep(3)
            ended = time.monotonic()
            blocked = sum(not task.done() for task in waiting)
        codes = await asyncio.gather(*waiting)
    verdict = await run.verdict()
    stale = verdict.staleness_percentile(began, ended)
    figure = (
        f"{blocked} calls blocked for 3 s, then answered {sorted(set(codes))};"
        f" the others' staleness p99 {ms(stale)}, p50 {ms(verdict.staleness_percentile(began, ended, 0.5))}; {verdict}"
    )
    return Result(figure, verdict.ok and stale <= 0.3 and blocked == 10)


@scenario(
    "T27",
    how="2 nodes, the clock of one 10 minutes ahead (patched time source)",
    demand="0 wrong presence: leases are by the database's clock",
)
async def clock_skew(run: Run) -> Result:
    right, wrong = await run.start(), await run.start("skewed")
    count = max(10, run.clients // 20)
    here, there, leaving = run.take_people(count), run.take_people(count), run.take_people(count)
    run.start_readers(here, lambda: [right.port])
    run.start_readers(there, lambda: [wrong.port])
    going = run.start_readers(leaving, lambda: [wrong.port])
    await until(lambda: all(reader.live for reader in run.readers), 60, "live readers")
    first = await run.wait_for_true_presence()
    before = run.presence_versions()
    # Longer than a lease: each node has renewed its own, and looked for expired processes.
    await asyncio.sleep(20)
    went_offline = sum(run.presence_versions().get(user, 0) != version for user, version in before.items())
    processes = len(run.database.read("SELECT id FROM realtime_serverprocess"))
    await asyncio.gather(*(reader.stop() for reader in going))
    second = await run.wait_for_true_presence()
    verdict = await run.verdict()
    figure = (
        f"{2 * count} online after {ms(first)}, {went_offline} shown offline in 20 s, {processes} of 2 leases held;"
        f" {count} left, offline after {ms(second)}; {verdict}"
    )
    return Result(figure, verdict.ok and not went_offline and processes == 2)
