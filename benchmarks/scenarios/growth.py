"""(g) Growth: the durable path over ever more rows, with more sockets a user, and with very many users connected."""

import time

from benchmarks import measuring
from benchmarks.bench import Bench
from benchmarks.contestants import Contestant
from benchmarks.measuring import Values

RATE = 100
# One sweep is every 15 s.
IDLE_SECONDS = 30


def run(bench: Bench) -> None:
    sizes = bench.sizes

    def notify(one: Contestant, sockets: int = 1) -> Values:
        return measuring.write(
            one, "doorbell.notify", one.users[:100], rate=RATE, seconds=sizes.seconds, frames_each=sockets
        )

    for sockets in sizes.sockets_a_user:
        contestants = bench.contestants(bench.own, people=sizes.people)
        for one in contestants:
            one.open_sockets(min(100, sizes.people), each=sockets)

        def to_each(one: Contestant, sockets: int = sockets) -> Values:
            return notify(one, sockets)

        case = f"notify() at {RATE}/s, sockets a user: {sockets}"
        bench.by_turns("g", case, contestants, to_each, "p50_ms")
    contestants = bench.contestants(bench.own, people=sizes.people, connected=True)
    for rows in sizes.rows:
        for one in contestants:
            one.fill(rows)
        bench.by_turns("g", f"notify() at {RATE}/s, {rows:,} rows", contestants, notify, "p50_ms")
    contestants = bench.contestants(bench.own, people=sizes.connected, connected=True)

    def idle(one: Contestant) -> Values:
        seconds = IDLE_SECONDS if sizes.rounds > 1 else 1
        server, postgresql = one.server_cpu(), one.database.cpu()
        time.sleep(seconds)
        return {
            "idle_server_percent": 100 * (one.server_cpu() - server) / seconds,
            "idle_postgresql_percent": 100 * (one.database.cpu() - postgresql) / seconds,
        } | notify(one)

    case = f"{sizes.connected:,} users connected: idle with sweeps and heartbeats, then notify() at {RATE}/s"
    bench.by_turns("g", case, contestants, idle, "idle_server_percent")
