"""Prometheus counters of this process, incremented where it happens; http/metrics.py shows them, and nothing else.

They are in no registry. In prometheus_client's default one they would also appear in a host project's own /metrics, and
be counted twice where Prometheus scrapes both. (With PROMETHEUS_MULTIPROC_DIR they do: it collects every counter.)
"""

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client import Counter

COUNTERS: list[Counter] = []


def _counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    counter = Counter(f"doorbell_{name}", text, labels, registry=None)
    COUNTERS.append(counter)
    return counter


sockets_opened = _counter("sockets_opened", "Sockets accepted.")
# By close code; "client" where the client closed.
sockets_closed = _counter("sockets_closed", "Sockets ended.", ["code"])
# A plain number, on the path of each frame: 0.07 µs where `inc()`, which takes a lock, costs 0.33.
frames_sent = 0
backlog_overflows = _counter("backlog_overflows", "Backlogs of slow sockets that were dropped.")
replays = _counter("replays", "Catch-ups from the database that sent frames.")
resets = _counter("resets", "Clients that had to read their list again.", ["reason"])
revisions = _counter("revisions", "Revisions assigned by this process.")
stamped_rows = _counter("stamped_rows", "Notifications that they changed.")
swept_sockets = _counter("swept_sockets", "Live sockets that only a sweep found behind.")
swept_revisions = _counter("swept_revisions", "Revisions that only the sweep assigned.")
repaired_inboxes = _counter(
    "repaired_inboxes", "Inboxes that were recounted, since they disagreed with their rows."
)
presence_batches = _counter("presence_batches", "Transactions that wrote connects and disconnects.")
presence_events = _counter("presence_events", "Connects and disconnects written.")
http_requests = _counter("http_requests", "HTTP requests answered.", ["status"])
publish_failures = _counter("layer_publish_failures", "Attempts to publish to the channel layer that failed.")
restarts = _counter("restarts", "Endless threads and tasks that failed and were started again.", ["name"])


# Upper bounds, in seconds. In the last bucket is what took longer.
DELIVERY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# From commit to frame. Plain numbers, as for `frames_sent`: a Histogram's lock is on the path of each push.
delivery_buckets = [0] * (len(DELIVERY_BOUNDS) + 1)
delivery_sum = 0.0


def observe_delivery(seconds: float) -> None:
    """Count a pushed revision. Clocks of two hosts may differ: less than 0 counts as 0."""
    global delivery_sum  # noqa: PLW0603
    seconds = max(0.0, seconds)
    delivery_buckets[bisect_left(DELIVERY_BOUNDS, seconds)] += 1
    delivery_sum += seconds
