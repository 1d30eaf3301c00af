"""(e) Opening sockets at once, and (f) what each costs in memory."""

from benchmarks.bench import Bench
from benchmarks.contestants import STOCK, Contestant
from benchmarks.measuring import Values

HISTORY = 10
AT_ONCE = 1000


def run(bench: Bench) -> None:
    count = bench.sizes.sockets
    contestants = bench.contestants([*bench.own, *bench.peers], people=count, history=HISTORY)

    def without_login(one: Contestant) -> Values:
        return open_all(one, count)

    def with_login(one: Contestant) -> Values:
        return open_all(one, count, kind="stock-login")

    case = f"opening {count:,} sockets"
    bench.by_turns("e", case, contestants, without_login, "sockets_per_second")
    stock = [one for one in contestants if one.subject.name == STOCK.name]
    bench.by_turns("e", case, stock, with_login, "sockets_per_second", how=", with login")


def open_all(one: Contestant, count: int, kind: str = "") -> Values:
    """Open sockets at a fresh server."""
    one.renew()
    # The first socket starts threads, pools and the hub.
    one.open_sockets(min(10, count), kind=kind)
    server, postgresql, memory = one.server_cpu(), one.database.cpu(), one.server.rss()
    answer = one.open_sockets(count, kind=kind, at_once=AT_ONCE)
    return {
        "sockets": answer["opened"],
        "sockets_per_second": answer["opened"] / answer["seconds"],
        "slowest_s": answer["slowest"],
        "server_cpu_us": 1e6 * (one.server_cpu() - server) / count,
        "postgresql_cpu_us": 1e6 * (one.database.cpu() - postgresql) / count,
        "kib_per_socket": (one.server.rss() - memory) / count / 1024,
        "client_cpu": answer["cpu"],
    }
