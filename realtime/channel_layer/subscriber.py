"""One Redis of the guarded layer: a monitored connection that subscribes, and separate connections that publish.

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

from realtime.background import cancel_all, run_again
from realtime.outages import STILL_SECONDS

logger = logging.getLogger(__name__)

# Defaults that a host's options may override. redis-py's own are 5 seconds, and it waits for one after the other.
TIMEOUTS = {"socket_timeout": 1, "socket_connect_timeout": 1}
CONFIRM_SECONDS = 1.0
PUBLISH_SECONDS = 1.0
PROBE_SECONDS = 1.0
# After so many probes without anything received the connection counts as dead: 3 to 4 s.
MAX_UNANSWERED_PROBES = 3
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 2.0
NAMES_PER_CHUNK = 1_000
MAX_CONCURRENT_PUBLISHES = 8
BYTES_PER_READ = 256 * 1024


class Subscriber:
    """Calls `deliver(name, data)` with each message, and `on_gap()` after an outage in which some may have been lost.

    Every subscription that was requested is remembered, and requested again on each new connection. A probe is
    published to ourselves every second: Centrifuge does the same (broker_redis.go, "probe").
    """

    def __init__(
        self,
        host: Mapping[str, Any],
        prefix: str,
        deliver: Callable[[str, bytes], None],
        on_gap: Callable[[], None],
    ) -> None:
        self.generation = 0
        self.reconnects = 0
        self.probe_seconds: float | None = None
        self._pool = create_pool({**TIMEOUTS, **host})
        self._redis: aioredis.Redis = aioredis.Redis(connection_pool=self._pool)
        self._publishing = asyncio.Semaphore(MAX_CONCURRENT_PUBLISHES)
        # When a publish last took too long.
        self._hung_at = 0.0
        self._deliver = deliver
        self._on_gap = on_gap
        self._probe_channel = f"{prefix}.echo.{uuid.uuid4().hex}"
        self._task: asyncio.Task[None] | None = None
        self._wanted: dict[str, None] = {self._probe_channel: None}
        self._confirmed: set[str] = set()
        # How many replies about a name are still to come: only the last one counts.
        self._replies_due: Counter[str] = Counter()
        self._confirmations: dict[str, asyncio.Future[None]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._outgoing: list[bytes] = []
        self._all_confirmed = False
        self._unanswered = 0
        self._probed_at = 0.0
        self._disconnected_since: float | None = None
        self._said_at = 0.0

    @property
    def started(self) -> bool:
        return self._task is not None

    @property
    def healthy(self) -> bool:
        """Whether every remembered subscription is confirmed, and the last probe but one has come back."""
        return self._all_confirmed and self._unanswered < 2

    @property
    def disconnected(self) -> bool:
        """Whether it is known that nothing arrives. (Before the first attempt to connect ends, nothing is known.)"""
        return self._disconnected_since is not None

    async def subscribe(self, name: str) -> None:
        """Return when Redis has confirmed it. TimeoutError after a second; it is remembered and requested again."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(run_again("subscriber", self._run))
        if name not in self._wanted:
            self._wanted[name] = None
            self._request(b"SUBSCRIBE", name)
        if name not in self._confirmed:
            async with asyncio.timeout(CONFIRM_SECONDS):
                await asyncio.shield(self._confirmation(name))

    def unsubscribe(self, name: str) -> None:
        if name in self._wanted:
            del self._wanted[name]
            self._confirmed.discard(name)
            self._resolve_confirmation(name)
            self._request(b"UNSUBSCRIBE", name)

    async def publish(self, name: str, data: bytes) -> None:
        """Publish over a connection of its own, not the subscriber's.

        Many at once wait for each other while Redis takes them. As soon as it takes nothing for a second, all that wait
        get the error.
        """
        asked = time.monotonic()
        async with self._publishing:
            if self._hung_at > asked:
                raise TimeoutError("Redis takes no messages")
            try:
                await self._publish(name, data)
            except (TimeoutError, aioredis.TimeoutError):
                self._hung_at = time.monotonic()
                raise

    async def _publish(self, name: str, data: bytes) -> None:
        async with asyncio.timeout(PUBLISH_SECONDS):
            await self._redis.publish(name, data)

    async def close(self) -> None:
        """Close every connection and forget every subscription. The subscriber may be used again afterwards."""
        if self._task is not None:
            await cancel_all([self._task])
            self._task = None
        await _close_redis(self._redis)
        for waiting in self._confirmations.values():
            waiting.cancel()
        self._confirmations.clear()
        self._wanted = {self._probe_channel: None}
        self._all_confirmed = False
        self._disconnected_since = None

    # --- The connection -------------------------------------------------------------------------------------

    async def _run(self) -> None:
        backoff = _backoff()
        while True:
            try:
                await self._session()
            except Exception as error:
                if self._all_confirmed:
                    backoff = _backoff()
                self._note_outage(error)
            await asyncio.sleep(next(backoff))

    async def _session(self) -> None:
        """Connect, and read until something fails: always raises."""
        connection = self._pool.make_connection()
        try:
            await connection.connect()
            self._writer = connection._writer
            async with asyncio.TaskGroup() as together:
                together.create_task(self._read(connection._reader))
                together.create_task(self._resubscribe())
                together.create_task(self._monitor())
        finally:
            if self._writer is not None:
                # Without waiting: the peer may be gone.
                self._writer.transport.abort()
            self._writer = None
            self._confirmed.clear()
            self._replies_due.clear()
            self._outgoing.clear()
            await connection.disconnect(nowait=True)

    def _note_outage(self, error: BaseException) -> None:
        self._all_confirmed = False
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        now = time.monotonic()
        if self._disconnected_since is None:
            self._disconnected_since = self._said_at = now
            logger.warning("Redis connection lost; deliveries are delayed until it recovers: %r", error)
        elif now - self._said_at >= STILL_SECONDS:
            self._said_at = now
            minutes = (now - self._disconnected_since) / 60
            logger.warning("Redis connection still lost after %.0f min: %r", minutes, error)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        parser = hiredis.Reader()
        while data := await reader.read(BYTES_PER_READ):
            self._unanswered = 0
            parser.feed(data)
            while (reply := parser.gets()) is not False:
                self._handle_reply(reply)
            # read() doesn't yield to the loop while there is more to read.
            await asyncio.sleep(0)
        raise ConnectionError("the connection was closed")

    def _handle_reply(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        if not isinstance(reply, list):
            return
        kind = reply[0]
        if kind == b"message":
            name = reply[1].decode(errors="replace")
            if name == self._probe_channel:
                self.probe_seconds = time.monotonic() - self._probed_at
            else:
                self._deliver(name, reply[2])
        elif kind in (b"subscribe", b"unsubscribe"):
            self._handle_confirmation(reply[1].decode(), subscribed=kind == b"subscribe")

    # --- Subscriptions ----------------------------------------------------------------------------------------

    def _confirmation(self, name: str) -> asyncio.Future[None]:
        if name not in self._confirmations:
            self._confirmations[name] = asyncio.get_running_loop().create_future()
        return self._confirmations[name]

    def _resolve_confirmation(self, name: str) -> None:
        if (waiting := self._confirmations.pop(name, None)) is not None:
            waiting.set_result(None)

    def _request(self, command: bytes, name: str) -> None:
        """Send a command, in one write with the others of this loop iteration. While disconnected nothing is sent, and
        `_resubscribe` requests what is wanted.
        """
        if self._writer is not None:
            if not self._outgoing:
                asyncio.get_running_loop().call_soon(self._send)
            self._replies_due[name] += 1
            self._outgoing.append(hiredis.pack_command((command, name.encode())))  # type: ignore[arg-type]

    def _send(self) -> None:
        if self._writer is not None:
            self._writer.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _handle_confirmation(self, name: str, *, subscribed: bool) -> None:
        self._replies_due[name] -= 1
        if self._replies_due[name] <= 0:
            del self._replies_due[name]
            if subscribed and name in self._wanted:
                self._confirmed.add(name)
                self._resolve_confirmation(name)

    async def _resubscribe(self) -> None:
        """Request every subscription again, and report a gap when all are confirmed."""
        names = iter(list(self._wanted))
        while chunk := list(itertools.islice(names, NAMES_PER_CHUNK)):
            missing = [name for name in chunk if name in self._wanted and name not in self._confirmed]
            for name in missing:
                self._request(b"SUBSCRIBE", name)
            # If no confirmation comes, _monitor() ends the connection.
            if missing:
                await asyncio.wait([self._confirmation(name) for name in missing])
        self._all_confirmed = True
        self.generation += 1
        if self._disconnected_since is not None:
            self.reconnects += 1
            outage = time.monotonic() - self._disconnected_since
            self._disconnected_since = None
            logger.warning(
                "Redis connection recovered after %.1f s: %d subscriptions confirmed; receivers catch up",
                outage,
                len(self._wanted),
            )
            self._on_gap()

    # --- The probe ----------------------------------------------------------------------------------------------

    async def _monitor(self) -> None:
        self._unanswered = 0
        async with asyncio.TaskGroup() as probes:
            # Probes are counted, not seconds: an event loop that was blocked has received nothing, and Redis is fine.
            while self._unanswered < MAX_UNANSWERED_PROBES:
                self._unanswered += 1
                probes.create_task(self._probe())
                await asyncio.sleep(PROBE_SECONDS)
            raise ConnectionError(f"nothing received for {MAX_UNANSWERED_PROBES} probes")

    async def _probe(self) -> None:
        self._probed_at = time.monotonic()
        try:
            # Past the queue of `publish`: a burst of messages isn't an outage.
            await self._publish(self._probe_channel, b"")
        except Exception as error:
            # Not handled here: what counts is that nothing comes back.
            logger.debug("probe of Redis failed: %r", error)


def _backoff() -> Iterator[float]:
    """Full jitter (AWS, "Exponential Backoff And Jitter"), so that not all processes reconnect to Redis at once."""
    for number in itertools.count():
        ceiling = min(MAX_BACKOFF_SECONDS, MIN_BACKOFF_SECONDS * 2 ** min(number + 1, 10))
        yield random.uniform(MIN_BACKOFF_SECONDS, ceiling)  # noqa: S311
