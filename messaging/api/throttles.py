"""Limits of API calls, of this process: how often a user or token may call, and how many of their calls run at once."""

from messaging.slots import Slots
from messaging.token_bucket import TokenBuckets

CALLS_PER_BURST = 200
CALLS_PER_SECOND = 20
CALLS_AT_ONCE = 2
# Each may hold 500 items, and holds the interpreter for most of its time.
PUBLISHES_AT_ONCE = 1

# "Sign out everywhere", of one user.
SIGN_OUTS_PER_BURST = 5
SIGN_OUTS_PER_SECOND = 1 / 60

api_calls = TokenBuckets(CALLS_PER_SECOND, CALLS_PER_BURST)
# A whole burst may wait: together with the rate no honest client is refused.
running_calls = Slots(CALLS_PER_BURST, 15)
# Each call reads every session of every user.
sign_outs = TokenBuckets(SIGN_OUTS_PER_SECOND, SIGN_OUTS_PER_BURST)
