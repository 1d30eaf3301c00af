"""The pool of connections to the database, where a project has Django's: what is in it, and how long callers wait."""

from typing import Any, NamedTuple


class Pool(NamedTuple):
    """`size` counts open connections, idle or in use; `waiting` the calls that wait for one."""

    size: int
    largest: int
    idle: int
    waiting: int
    # Since the process began: for how long calls have waited, and how many in vain.
    waited_seconds: float = 0.0
    refused: int = 0

    @property
    def is_full(self) -> bool:
        return self.waiting > 0 and self.idle == 0 and self.size >= self.largest


def pool_of(wrapper: Any) -> Pool | None:
    """Return the state of a database's pool. None: it has none."""
    pool = getattr(wrapper, "pool", None)
    if pool is None:
        return None
    stats = pool.get_stats()
    return Pool(
        size=stats["pool_size"],
        largest=stats["pool_max"],
        idle=stats["pool_available"],
        waiting=stats.get("requests_waiting", 0),
        waited_seconds=stats.get("requests_wait_ms", 0) / 1000,
        refused=stats.get("requests_errors", 0),
    )


def set_wait(wrapper: Any, seconds: float | None) -> None:
    """Have calls wait so long for a connection. None: as long as the settings say."""
    pool = getattr(wrapper, "pool", None)
    if pool is not None:
        configured = wrapper.settings_dict["OPTIONS"]["pool"]
        # 30 s is psycopg_pool's default. Django allows `True` for a pool with the defaults.
        options = configured if isinstance(configured, dict) else {}
        pool.timeout = options.get("timeout", 30.0) if seconds is None else seconds
