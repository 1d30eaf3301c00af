"""How large a run is. The JSON names the size, so that a quick run's figures aren't taken for a full one's."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    name: str
    rounds: int
    # Whether servers are started again where what came before could matter.
    restarts: bool
    # Users with a socket each in (a) to (d).
    people: int
    # How many notifications everyone has; in (e) ten.
    history: int
    # (a), (b): announcements in a row; to the stock server that stores each row by itself, fewer.
    announcements: int
    stored_one_by_one: int
    # (c), (d): how long each measurement writes, and its rates a second; 0: as fast as possible.
    seconds: float
    push_rates: tuple[int, ...]
    save_rates: tuple[int, ...]
    writers: tuple[int, ...]
    # (e), (f), (h)
    sockets: int
    # (g)
    rows: tuple[int, ...]
    sockets_a_user: tuple[int, ...]
    connected: int


FULL = Sizes(
    name="full",
    rounds=3,
    restarts=True,
    people=1000,
    history=0,
    announcements=50,
    stored_one_by_one=2,
    seconds=3,
    push_rates=(500, 2000, 5000, 0),
    save_rates=(100, 500, 1000),
    writers=(1, 4),
    sockets=5000,
    rows=(1_000, 1_000_000, 5_000_000),
    sockets_a_user=(1, 10, 100),
    connected=10_000,
)
QUICK = Sizes(
    name="quick",
    rounds=3,
    restarts=True,
    people=500,
    history=0,
    announcements=20,
    stored_one_by_one=1,
    seconds=1,
    push_rates=(500, 0),
    save_rates=(500,),
    writers=(1, 4),
    sockets=1000,
    rows=(1_000, 100_000),
    sockets_a_user=(1, 10),
    connected=1000,
)
TOY = Sizes(
    name="toy",
    rounds=1,
    restarts=False,
    people=10,
    history=10,
    announcements=2,
    stored_one_by_one=1,
    seconds=0.3,
    push_rates=(50,),
    save_rates=(20,),
    writers=(2,),
    sockets=10,
    rows=(100,),
    sockets_a_user=(2,),
    connected=10,
)
SIZES = {sizes.name: sizes for sizes in (FULL, QUICK, TOY)}
