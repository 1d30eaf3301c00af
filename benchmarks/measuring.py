"""One measurement: writers write, the load client receives, and everybody's CPU and WAL are read before and after."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .contestants import Answer, Contestant, JsonProcess

Values = dict[str, float]
# Who write to each other.
PAIRS = 100
MARKERS_A_WRITER = 10_000_000
# How long nothing may arrive before what is missing counts as lost.
SILENCE_SECONDS = 10.0


def write(
    contestant: Contestant,
    work: str,
    users: Sequence[Any],
    *,
    writers: int = 1,
    rate: int = 0,
    count: int = 0,
    seconds: float = 0,
    frames_each: int = 1,
) -> Values:
    """Write with so many processes. `frames_each`: how many frames each write brings to the load client; 0: none."""
    orders = [
        {
            "work": work,
            "users": list(users[number::writers]),
            "first": number * MARKERS_A_WRITER,
            "rate": rate / writers,
            "count": count,
            "seconds": seconds,
        }
        for number in range(writers)
    ]
    processes = [contestant.writer(number) for number in range(writers)]
    return measure(contestant, processes, orders, rate > 0, frames_each)


def request(contestant: Contestant, seconds: float, at_once: int = 8) -> Values:
    """Have the server save messages in requests."""
    order = {
        "kind": contestant.subject.kind,
        "port": contestant.server.port,
        "people": [
            [session, f"person{number:05}"] for number, (_, session) in enumerate(contestant.database.people)
        ][:PAIRS],
        "first": 0,
        "seconds": seconds,
        "at_once": at_once,
    }
    values = measure(contestant, [contestant.requester], [order], True, 1)
    # When the server has committed is seen from its inside alone.
    return {name: value for name, value in values.items() if name not in {"p50_ms", "p99_ms"}}


def measure(
    contestant: Contestant,
    processes: Sequence[JsonProcess],
    orders: Sequence[Mapping[str, Any]],
    keep_times: bool,
    frames_each: int,
) -> Values:
    """Have these processes write what they are ordered to, all at once."""
    for process, order in zip(processes, orders, strict=True):
        process.send(order)
    for process in processes:
        if process.read().strip() != "ready":
            raise RuntimeError("a writer isn't ready")
    time.sleep(0.2)  # what was written to warm up arrives
    database = contestant.database
    contestant.clients.ask("record", keep_times=keep_times)
    wal, postgresql, server = database.wal_bytes(), database.cpu(), contestant.server_cpu()
    for process in processes:
        process.send("go")
    done: list[Answer] = [json.loads(process.read()) for process in processes]
    total = sum(one["count"] for one in done)
    received = contestant.clients.ask("collect", count=total * frames_each, seconds=SILENCE_SECONDS)
    began, ended = min(one["began"] for one in done), max(one["ended"] for one in done)
    values: Values = {
        "writes": total,
        "writes_per_second": total / (ended - began),
        "call_ms": 1000 * sum(one["calling"] for one in done) / total,
        "writer_cpu_us": 1e6 * sum(one["cpu"] for one in done) / total,
        "server_cpu_us": 1e6 * (contestant.server_cpu() - server) / total,
        "postgresql_cpu_us": 1e6 * (database.cpu() - postgresql) / total,
        "wal_bytes": (database.wal_bytes() - wal) / total,
        "client_cpu": received["cpu"],
    }
    if frames_each:
        values |= {
            "frames": received["count"],
            "lost": total * frames_each - received["count"],
            "frames_per_second": received["count"] / max(received["last"] - began, 1e-6),
        }
    if keep_times:
        values |= latencies(done, received["arrivals"])
    return values


def latencies(done: Sequence[Answer], arrivals: Sequence[tuple[int, float]]) -> Values:
    """Milliseconds from the commit, and from the call, until the frame is there."""
    first: dict[int, float] = {}
    for number, at in arrivals:
        first.setdefault(number, at)
    stamps = [stamp for one in done for stamp in one["stamps"] if stamp[0] in first]
    if not stamps:
        return {}
    commit = sorted(1000 * max(0.0, first[number] - committed) for number, _, committed in stamps)
    call = sorted(1000 * (first[number] - called) for number, called, _ in stamps)
    return {
        "p50_ms": percentile(commit, 0.50),
        "p99_ms": percentile(commit, 0.99),
        "call_p50_ms": percentile(call, 0.50),
        "call_p99_ms": percentile(call, 0.99),
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
