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


def is_exhausted(wrapper: Any, error: BaseException | None) -> bool:
    """Return whether a call got no connection because others held all of them: the database itself answers.

    (While it is known to refuse connections calls wait less, and one that stays away soon costs the pool its size.)
    """
    pool = getattr(wrapper, "pool", None)
    if pool is None or not is_pool_error(error):
        return False
    stats = pool.get_stats()
    return bool(stats["pool_size"] >= stats["pool_max"]) and pool.timeout == _configured_wait(wrapper)


def is_pool_error(error: BaseException | None) -> bool:
    """Return whether the pool, and not the database, raised an error: a call got no connection."""
    # By name: psycopg_pool is imported only where a project has a pool.
    raised = (error, getattr(error, "__cause__", None))
    return any(type(one).__name__ in {"PoolTimeout", "TooManyRequests"} for one in raised)


def set_wait(wrapper: Any, seconds: float | None) -> None:
    """Have calls wait so long for a connection. None: as long as the settings say."""
    pool = getattr(wrapper, "pool", None)
    if pool is not None:
        pool.timeout = _configured_wait(wrapper) if seconds is None else seconds


def _configured_wait(wrapper: Any) -> float:
    configured = wrapper.settings_dict["OPTIONS"]["pool"]
    # 30 s is psycopg_pool's default. Django allows `True` for a pool with the defaults.
    options = configured if isinstance(configured, dict) else {}
    return float(options.get("timeout", 30.0))
