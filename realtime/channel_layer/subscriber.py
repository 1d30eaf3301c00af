"""One Redis of the guarded layer: a subscribing connection that is watched, and connections beside it to publish.

redis-py connects (address, TLS, login, Sentinel). The subscriber's stream is then read here: redis-py takes an
ETIMEDOUT for "no message yet" (on Python 3.11 and later it is a TimeoutError), returns at once, and again, for ever.
"""

import asyncio
import itertools
import logging
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import hiredis
from channels_redis.utils import _close_redis, create_pool
from redis import asyncio as aioredis

from realtime.background import cancel_all

logger = logging.getLogger(__name__)

# What a host may override. redis-py's own are 5 seconds, and it waits for one after the other.
TIMEOUTS = {"socket_timeout": 1, "socket_connect_timeout": 1}
CONFIRM_SECONDS = 1.0
PUBLISH_SECONDS = 1.0
PROBE_SECONDS = 1.0
# After so many probes with nothing heard the connection is taken for dead: 3 to 4 s.
MOST_UNANSWERED = 3
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
NAMES_A_CHUNK = 1_000
MOST_PUBLISHING = 8
BYTES_A_READ = 256 * 1024


class Subscriber:
    """`take(name, data)` gets each message; `gap()` is called when some may have been lost and all is well again.

    Every subscription that was asked for is remembered, and asked for again on each new connection. A probe is
    published to ourselves every second: Centrifuge does the same (broker_redis.go, "probe").
    """

    def __init__(
        self,
        host: Mapping[str, Any],
        prefix: str,
        take: Callable[[str, bytes], None],
        gap: Callable[[], None],
    ) -> None:
        self.generation = 0
        self.reconnects = 0
        self.probe_seconds: float | None = None
        self._pool = create_pool({**TIMEOUTS, **host})
        self._redis: aioredis.Redis = aioredis.Redis(connection_pool=self._pool)
        self._publishing = asyncio.Semaphore(MOST_PUBLISHING)
        self._deliver = take
        self._gap = gap
        self._echo = f"{prefix}.echo.{uuid.uuid4().hex}"
        self._task: asyncio.Task[None] | None = None
        self._wanted: dict[str, None] = {self._echo: None}
        self._confirmed: set[str] = set()
        # How many answers about a name are still to come: only the last one counts.
        self._asked: Counter[str] = Counter()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._outgoing: list[bytes] = []
        self._settled = False
        self._unanswered = 0
        self._probed_at = 0.0
        self._away_since: float | None = None

    @property
    def started(self) -> bool:
        return self._task is not None

    @property
    def healthy(self) -> bool:
        """Is every remembered subscription confirmed, and did the last probe but one come back?"""
        return self._settled and self._unanswered < 2

    @property
    def away(self) -> bool:
        """Is it known that nothing arrives? (Before the first connection was made or failed, nothing is known.)"""
        return self._away_since is not None

    async def subscribe(self, name: str) -> None:
        """Return when Redis has confirmed it. After a second TimeoutError: it is remembered, and will be asked for."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        if name not in self._wanted:
            self._wanted[name] = None
            self._ask(b"SUBSCRIBE", name)
        if name not in self._confirmed:
            async with asyncio.timeout(CONFIRM_SECONDS):
                await asyncio.shield(self._confirmation(name))

    def unsubscribe(self, name: str) -> None:
        if name in self._wanted:
            del self._wanted[name]
            self._confirmed.discard(name)
            self._stop_waiting(name)
            self._ask(b"UNSUBSCRIBE", name)

    async def publish(self, name: str, data: bytes) -> None:
        """Publish, over a connection that has nothing to do with the subscriber's. Raises within about a second."""
        async with asyncio.timeout(PUBLISH_SECONDS), self._publishing:
            await self._redis.publish(name, data)

    async def close(self) -> None:
        """Close every connection and forget every subscription. It may be used again afterwards."""
        if self._task is not None:
            await cancel_all([self._task])
            self._task = None
        await _close_redis(self._redis)
        for waiting in self._waiting.values():
            waiting.cancel()
        self._waiting.clear()
        self._wanted = {self._echo: None}
        self._settled = False
        self._away_since = None

    # --- The connection -------------------------------------------------------------------------------------

    async def _run(self) -> None:
        pauses = _pauses()
        while True:
            try:
                await self._session()
            except Exception as error:
                if self._settled:
                    pauses = _pauses()
                self._lost(error)
            await asyncio.sleep(next(pauses))

    async def _session(self) -> None:
        """Connect, and read until something is wrong: always raises."""
        connection = self._pool.make_connection()
        try:
            await connection.connect()
            self._writer = connection._writer
            async with asyncio.TaskGroup() as together:
                together.create_task(self._read(connection._reader))
                together.create_task(self._settle())
                together.create_task(self._watch())
        finally:
            if self._writer is not None:
                # Nothing is waited for: whoever is at the other end may be gone.
                self._writer.transport.abort()
            self._writer = None
            self._confirmed.clear()
            self._asked.clear()
            self._outgoing.clear()
            await connection.disconnect(nowait=True)

    def _lost(self, error: BaseException) -> None:
        self._settled = False
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if self._away_since is None:
            self._away_since = time.monotonic()
            logger.warning("Redis is away, and until it is back pushes are late: %r", error)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        parser = hiredis.Reader()
        while data := await reader.read(BYTES_A_READ):
            self._unanswered = 0
            parser.feed(data)
            while (reply := parser.gets()) is not False:
                self._take(reply)
            # read() doesn't yield while there is more.
            await asyncio.sleep(0)
        raise ConnectionError("the connection was closed")

    def _take(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        if not isinstance(reply, list):
            return
        kind = reply[0]
        if kind == b"message":
            name = reply[1].decode(errors="replace")
            if name == self._echo:
                self.probe_seconds = time.monotonic() - self._probed_at
            else:
                self._deliver(name, reply[2])
        elif kind in (b"subscribe", b"unsubscribe"):
            self._answered(reply[1].decode(), subscribed=kind == b"subscribe")

    # --- Subscriptions ----------------------------------------------------------------------------------------

    def _confirmation(self, name: str) -> asyncio.Future[None]:
        if name not in self._waiting:
            self._waiting[name] = asyncio.get_running_loop().create_future()
        return self._waiting[name]

    def _stop_waiting(self, name: str) -> None:
        if (waiting := self._waiting.pop(name, None)) is not None:
            waiting.set_result(None)

    def _ask(self, command: bytes, name: str) -> None:
        """Send a command with all others of this turn of the loop. Unconnected: what is wanted is asked for later."""
        if self._writer is not None:
            if not self._outgoing:
                asyncio.get_running_loop().call_soon(self._send)
            self._asked[name] += 1
            self._outgoing.append(hiredis.pack_command((command, name.encode())))  # type: ignore[arg-type]

    def _send(self) -> None:
        if self._writer is not None:
            self._writer.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _answered(self, name: str, *, subscribed: bool) -> None:
        self._asked[name] -= 1
        if self._asked[name] <= 0:
            del self._asked[name]
            if subscribed and name in self._wanted:
                self._confirmed.add(name)
                self._stop_waiting(name)

    async def _settle(self) -> None:
        """Ask for every subscription again, and tell when all are confirmed."""
        names = iter(list(self._wanted))
        while chunk := list(itertools.islice(names, NAMES_A_CHUNK)):
            missing = [name for name in chunk if name in self._wanted and name not in self._confirmed]
            for name in missing:
                self._ask(b"SUBSCRIBE", name)
            # That nothing comes at all, _watch() notices.
            if missing:
                await asyncio.wait([self._confirmation(name) for name in missing])
        self._settled = True
        self.generation += 1
        if self._away_since is not None:
            self.reconnects += 1
            away = time.monotonic() - self._away_since
            self._away_since = None
            logger.warning("Redis is back after %.1f s: %d subscriptions confirmed", away, len(self._wanted))
            self._gap()

    # --- The probe ----------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        self._unanswered = 0
        async with asyncio.TaskGroup() as probes:
            # Probes are counted, not seconds: a loop that stood still has heard nothing, and no wonder.
            while self._unanswered < MOST_UNANSWERED:
                self._unanswered += 1
                probes.create_task(self._probe())
                await asyncio.sleep(PROBE_SECONDS)
            raise ConnectionError(f"heard nothing for {MOST_UNANSWERED} probes")

    async def _probe(self) -> None:
        self._probed_at = time.monotonic()
        try:
            await self.publish(self._echo, b"")
        except Exception as error:
            # That nothing comes back is what counts.
            logger.debug("a probe failed: %s", error)


def _pauses() -> Iterator[float]:
    """Full jitter (AWS, "Exponential Backoff And Jitter"): a Redis that is back isn't met by all at once."""
    for number in itertools.count():
        ceiling = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2 ** min(number + 1, 10))
        yield random.uniform(SHORTEST_PAUSE, ceiling)  # noqa: S311
