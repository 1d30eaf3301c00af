"""What this process has done since it started: plain numbers, counted where it happens, read by metrics.py.

Each is counted by one thread only, or so seldom that a count lost between two doesn't matter.
"""

from collections import Counter

sockets_opened = 0
# By close code; "client" where it was the client that closed.
sockets_closed: Counter[str] = Counter()
frames = 0
overflows = 0
replays = 0
resets: Counter[str] = Counter()
# Live connections that a sweep found behind, and revisions that only the sweep assigned.
swept_sockets = 0
swept_revisions = 0
revisions = 0
stamped_rows = 0
presence_batches = 0
presence_events = 0
