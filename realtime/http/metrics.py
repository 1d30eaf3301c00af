"""GET /metrics, in Prometheus' text format: the numbers of one process, none of them about a user.

Events are counted where they happen (realtime/counters.py); everything else is looked up here, at each scrape.
"""

import asyncio
import hmac
import math
import os
import socket
from collections.abc import Iterable, Mapping
from itertools import accumulate

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from messaging import inboxes
from messaging.api import errors, publishing
from realtime import counters
from realtime.channel_layer import guarded
from realtime.database import PROBE_SECONDS, database
from realtime.default_layer import get_channel_layer
from realtime.delivery import drain, hub
from realtime.delivery.client_socket import ClientSocket
from realtime.outbound.relay import relay
from realtime.presence.writer import presence_writer
from realtime.questions import Question
from realtime.timeline import timeline_watch
from realtime.version import version

LAG_EVERY_SECONDS = 0.25
LAG_WINDOW_SECONDS = 60.0


@login_not_required
@transaction.non_atomic_requests
async def metrics(request: HttpRequest) -> HttpResponse:
    """Answer to Prometheus. If METRICS_TOKEN is set, `Authorization: Bearer <token>` is required."""
    if not _may_read(request.headers.get("Authorization", "")):
        refused = errors.problem(401, "not_signed_in", "The metrics require the token METRICS_TOKEN.")
        refused["WWW-Authenticate"] = "Bearer"
        return refused
    collectors = CollectorRegistry(auto_describe=False)
    up = await database.answers()
    oldest = await _oldest_pending.answer(PROBE_SECONDS) if up else None
    awaited = _Awaited(up, oldest, lag_of_running_loop().worst())
    for collector in (awaited, *COLLECTORS):
        collectors.register(collector)
    headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"}
    return HttpResponse(generate_latest(collectors), headers=headers)


def _may_read(authorization: str) -> bool:
    token = getattr(settings, "METRICS_TOKEN", "")
    given = authorization.removeprefix("Bearer ").strip()
    return not token or hmac.compare_digest(given.encode(errors="replace"), token.encode())


def _read_oldest_pending() -> float | None:
    try:
        return inboxes.oldest_pending_seconds()
    finally:
        connections.close_all()


# A thread of its own: while a table is locked, scrape after scrape would hold all database threads.
_oldest_pending: Question[float | None] = Question(_read_oldest_pending, None)


class Lag:
    """How late an event loop runs its timers: the worst delay of the last minute."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._since = loop.time()
        self._worst = self._worst_before = 0.0
        self._tick(loop.time())

    def _tick(self, due: float) -> None:
        now = self._loop.time()
        if now - self._since > LAG_WINDOW_SECONDS:
            self._since, self._worst_before, self._worst = now, self._worst, 0.0
        self._worst = max(self._worst, now - due)
        self._loop.call_at(now + LAG_EVERY_SECONDS, self._tick, now + LAG_EVERY_SECONDS)

    def worst(self) -> float:
        return max(self._worst, self._worst_before)


_lags: dict[asyncio.AbstractEventLoop, Lag] = {}


def lag_of_running_loop() -> Lag:
    """Return the running loop's lag, measured from the first scrape on."""
    loop = asyncio.get_running_loop()
    if loop not in _lags:
        for closed in [known for known in _lags if known.is_closed()]:
            del _lags[closed]
        _lags[loop] = Lag(loop)
    return _lags[loop]


def gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"doorbell_{name}", text, value=value)


def gauges(name: str, text: str, labels: Iterable[str], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(f"doorbell_{name}", text, labels=list(labels))
    for of, value in values.items():
        family.add_metric(of, value)
    return family


def counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"doorbell_{name}", text, value=value)


def labelled_counter(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"doorbell_{name}", text, labels=[label])
    for of, value in values.items():
        family.add_metric([of], value)
    return family


def histogram(name: str, text: str, bounds: Iterable[float], buckets: Iterable[int], total: float) -> Metric:
    uppers = [*map(str, bounds), "+Inf"]
    counts = list(zip(uppers, accumulate(buckets), strict=True))
    return HistogramMetricFamily(f"doorbell_{name}", text, buckets=counts, sum_value=total)


class _Awaited(Collector):
    """What had to be awaited. `oldest_pending_seconds` is unknown, and left out, while the database doesn't say."""

    def __init__(self, up: bool, oldest_pending_seconds: float | None, lag_seconds: float) -> None:
        self.up = up
        self.oldest_pending_seconds = oldest_pending_seconds
        self.lag_seconds = lag_seconds

    def collect(self) -> Iterable[Metric]:
        yield gauge(
            "loop_lag_seconds", "The worst delay of the event loop in the last minute.", self.lag_seconds
        )
        older = timeline_watch.missing_since is not None
        yield gauge("database_older", "1 while the database is older than what servers have seen.", older)
        oldest = self.oldest_pending_seconds
        yield gauge("database_up", "1 if the database answered within a second.", self.up)
        if oldest is not None:
            yield gauge(
                "oldest_pending_seconds", "Age of the oldest notification without a revision.", oldest
            )


class _Sockets(Collector):
    def collect(self) -> Iterable[Metric]:
        users = [user for known in hub.running_hubs() for user in list(known.users.values())]
        sockets: list[ClientSocket] = [socket for user in users for socket in list(user.sockets)]
        yield gauge("sockets", "Open sockets.", len(sockets))
        yield gauge("feeds", "Users with a socket here, or who had one a moment ago.", len(users))
        behind = sum(not (socket.is_live or socket.is_closing) for socket in sockets)
        yield gauge("sockets_behind", "Sockets that wait for a catch-up.", behind)
        blocked = sum(socket.is_blocked for socket in sockets)
        yield gauge("sockets_blocked", "Sockets whose client doesn't read what was sent.", blocked)
        yield gauge("draining", "1 while the process is ending.", drain.draining)
        yield counter("frames_sent", "Frames handed to sockets.", counters.frames_sent)


class _Relay(Collector):
    def collect(self) -> Iterable[Metric]:
        yield gauge("relay_waiting", "Messages queued for the channel layer.", relay.queued_messages)
        yield gauge("relay_touched", "Users whose notifications wait for a revision.", relay.queued_users)
        yield counter("relay_dropped", "Messages that the channel layer didn't get in time.", relay.dropped)
        ignored = sum(known.ignored for known in hub.running_hubs())
        yield counter("layer_ignored", "Channel-layer messages that are no valid envelope.", ignored)
        yield from _layer()


def _layer() -> Iterable[Metric]:
    layer = guarded(get_channel_layer())
    if layer is None:
        return
    yield gauge("layer_healthy", "1 while messages arrive from Redis, as far as is known.", layer.healthy)
    yield counter("layer_reconnects", "Reconnects to Redis.", layer.reconnects)
    yield counter(
        "layer_dropped", "Channel-layer messages dropped because a channel was full.", layer.dropped
    )
    yield counter("layer_malformed", "Channel-layer messages that could not be decoded.", layer.malformed)
    if layer.probe_seconds is not None:
        # The last good one says nothing about an outage.
        seconds = layer.probe_seconds if layer.healthy else math.nan
        yield gauge(
            "layer_probe_seconds",
            "Round-trip time of the last probe through Redis; NaN in an outage.",
            seconds,
        )


class _Presence(Collector):
    def collect(self) -> Iterable[Metric]:
        yield gauge("presence_waiting", "Connects and disconnects not written yet.", presence_writer.queued)
        yield gauge("presence_lease", "1 while this process holds a lease.", presence_writer.has_lease)


class _Process(Collector):
    def collect(self) -> Iterable[Metric]:
        name = f"{socket.gethostname()} {os.getpid()}"
        yield gauges("info", "1, with version and name.", ("version", "process"), {(version(), name): 1})
        yield histogram(
            "delivery_seconds",
            "From the commit of a notification to the frames of its push, by the hosts' clocks.",
            counters.DELIVERY_BOUNDS,
            counters.delivery_buckets,
            counters.delivery_sum,
        )
        yield labelled_counter(
            "publish_errors",
            "Items of publish calls that weren't published.",
            "code",
            dict(publishing.errors_by_code),
        )


class _Pool(Collector):
    def collect(self) -> Iterable[Metric]:
        pool = database.pool
        if pool is None:
            return
        states = {"size": pool.size, "max": pool.largest, "idle": pool.idle, "waiting": pool.waiting}
        yield gauges(
            "database_pool",
            "Connections to the database: open, at most, open and idle; and calls that wait for one.",
            ("state",),
            {(state,): value for state, value in states.items()},
        )
        yield counter("database_pool_wait_seconds", "Time that calls waited for one.", pool.waited_seconds)
        yield counter("database_pool_refused", "Calls that waited in vain.", pool.refused)


class _Counters(Collector):
    def collect(self) -> Iterable[Metric]:
        for counted in counters.COUNTERS:
            for family in counted.collect():
                # Drops the `_created` series, which prometheus_client can disable only for the whole process.
                family.samples = [sample for sample in family.samples if sample.name.endswith("_total")]
                yield family


# prometheus_client's own collectors insist on a registry; this one is never read.
_UNREAD = CollectorRegistry()
COLLECTORS = (
    _Sockets(),
    _Relay(),
    _Presence(),
    _Process(),
    _Pool(),
    _Counters(),
    ProcessCollector(registry=_UNREAD),
    PlatformCollector(registry=_UNREAD),
    GCCollector(registry=_UNREAD),
)
