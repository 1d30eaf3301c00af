"""Sockets that don't read, and the process that notifies many users at once."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence

from tests.chaos.clients import until
from tests.chaos.history import Write
from tests.chaos.run import Run
from tests.chaos.scenario import Result, mb, ms, scenario
from tests.live.servers import ROOT

# Notifies many users; prints the ids as JSON when they are committed.
NOTIFY_USERS = """
import json, sys, time
import django
django.setup()
from messaging import notifications
config = json.load(sys.stdin)
for number in range(config["rounds"]):
    rows = notifications.notify_many(config["users"] * config["each"], "announcement", config["title"], config["text"])
    print(json.dumps([time.monotonic(), [(row.user_id, row.pk) for row in rows]]), flush=True)
"""


async def notify_users(
    run: Run, users: Sequence[int], *, text: str = "", rounds: int = 1, each: int = 1
) -> float:
    """Notify these users from a process of its own; returns when the last commit returned."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", NOTIFY_USERS),
        cwd=ROOT,
        env={**run.environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    config = {"users": list(users), "title": "\U0001f514" * (190 if text else 1), "text": text}
    process.stdin.write(json.dumps({**config, "rounds": rounds, "each": each}).encode())
    process.stdin.close()
    last = began = time.monotonic()
    while line := await process.stdout.readline():
        last, made = json.loads(line)
        by_user: dict[int, list[int]] = {}
        for user, pk in made:
            by_user.setdefault(user, []).append(pk)
        run.history.writes += [Write(user, "added", ids, "ok", began, last) for user, ids in by_user.items()]
    assert await process.wait() == 0
    return last


@scenario(
    "T7",
    how="20 sockets that don't read, 128 MB meant for them, 200 healthy ones; `serve`",
    demand="RSS growth ≤ 40 MB, healthy p99 ≤ 250 ms or twice what it was, the slow ones closed 4001, then complete",
)
async def slow_readers(run: Run) -> Result:
    return await run_slow_readers(run, "serve")


@scenario(
    "T7d",
    how="the same on Daphne, which bounds no write buffer itself",
    demand="as T7",
)
async def slow_readers_on_daphne(run: Run) -> Result:
    return await run_slow_readers(run, "daphne")


async def run_slow_readers(run: Run, kind: str) -> Result:
    node = await run.start(kind)
    healthy = await run.start_live_readers(min(200, max(20, run.clients // 10)))
    slow = run.take_people(20)
    sleepers = run.start_readers(slow)
    await until(lambda: all(reader.live for reader in sleepers), 30, "live readers")
    await run.start_orm_writer(healthy, 50)
    began = time.monotonic()
    await asyncio.sleep(5)
    paused = time.monotonic()
    before = most = node.rss()
    for reader in sleepers:
        assert reader.socket is not None
        reader.socket.transport.pause_reading()
    # 2.8 kB each: 20 rounds of 115 to each of 20 users are 129 MB.
    notifying = asyncio.create_task(
        notify_users(run, [person["id"] for person in slow], text="\U0001f514" * 500, rounds=20, each=115)
    )
    while not notifying.done() or time.monotonic() - paused < 15:
        most = max(most, node.rss())
        await asyncio.sleep(0.1)
    last_commit = await notifying
    ended = time.monotonic()
    # They are closed when they have taken nothing for 30 s: the server then has no socket of theirs.
    query = f"SELECT count(*) FROM realtime_connection WHERE user_id >= {slow[0]['id']}"
    with contextlib.suppress(TimeoutError):
        await until(lambda: run.database.read(query) == [(0,)], 60, pause=0.5)
    closed_after = time.monotonic() - last_commit
    left = run.database.read(query)[0][0]
    most = max(most, node.rss())
    for reader in sleepers:
        if reader.socket is not None:
            reader.socket.transport.resume_reading()
    verdict = await run.verdict(90)
    users = {person["id"] for person in healthy}
    usual = verdict.staleness_percentile(began, paused, users=users)
    meanwhile = verdict.staleness_percentile(paused, ended, users=users)
    codes = {event.number for reader in sleepers for event in reader.log.events if event.kind == "closed"}
    figure = (
        f"RSS +{mb(most - before)} (from {mb(before)}); healthy p99 {ms(meanwhile)}, before {ms(usual)};"
        f" {20 - left} of 20 closed after {closed_after:.0f} s ({', '.join(map(str, sorted(codes)))}); {verdict}"
    )
    met = verdict.ok and most - before <= 40 * 2**20 and not left and meanwhile <= max(2 * usual, 0.25)
    return Result(figure, met)
