"""The settings REALTIME_*: one row each, with type, default, bounds and meaning. Everything else reads this table.

That is typed access (`conf.sweep_seconds`, read at each access, so that tests may override settings), the environment
(config/settings.py), `manage.py check` (checks.py), docs/configuration.md, and the test of .env.example.
"""

import sys
from typing import Any

from messaging.setting_types import Choice, DjangoSettings, Integer, Number, Origins, Switch


class Conf(DjangoSettings):
    PREFIX = "REALTIME_"

    relay = Switch(
        lambda conf: not conf.is_testing,
        "Whether this process pushes what it commits, from a thread of its own. If not, the periodic sweep of the "
        "server processes delivers it.",
        default_text="True; False in a test process, so that no thread uses the test database",
    )
    sweep_seconds = Number(
        lambda conf: 1.0 if conf.layer_is_local else 15.0,
        "How often inboxes are compared with what their sockets were sent. It is at most 1 while the channel layer is "
        "unavailable.",
        default_text="15 with Redis, 1 without",
        minimum=0.01,
        unit="seconds",
    )
    pending_seconds = Number(
        2.0,
        "Age at which the sweep takes over a notification without a revision, and how often it looks for them.",
        minimum=0.01,
        unit="seconds",
    )
    heartbeat_seconds = Integer(25, "How often each client is sent a heartbeat.", minimum=1, unit="seconds")
    ping_seconds = Number(
        20.0,
        "How often `serve` pings each socket, and how long it then waits for the pong. A dead peer is noticed after at "
        "most twice this.",
        minimum=0.01,
        unit="seconds",
    )
    recheck_seconds = Number(
        30.0,
        "How often the login behind every socket is validated again, in case the push that announces its end was lost.",
        minimum=0.01,
        unit="seconds",
    )
    max_connections_per_user = Integer(20, "Open sockets of one user, over all processes.", minimum=1)
    offline_grace_seconds = Number(
        5.0,
        "How long a user stays online after their client has closed their last socket, so that a page reload isn't "
        "shown to contacts.",
        unit="seconds",
    )
    lease_seconds = Number(
        15.0,
        "How long a server process counts as alive after it last renewed its lease, which it does three times in that "
        "time.",
        minimum=0.01,
        unit="seconds",
    )
    max_age_seconds = Number(
        12 * 3600.0,
        "Age at which a socket is closed, minus up to 10 % jitter, so that sockets opened together don't all reconnect "
        "together.",
        minimum=0.01,
        unit="seconds",
    )
    slow_seconds = Number(
        30.0,
        "How long a client may read nothing of what was sent to it before its socket is closed.",
        minimum=0.01,
        unit="seconds",
    )
    max_body_bytes = Integer(
        2_621_440,
        "Largest body of an HTTP request, at any address; a larger one is answered with 413 before it is stored. A "
        "project that takes uploads needs more.",
        minimum=1,
        unit="bytes",
    )
    max_requests = Integer(
        100,
        "HTTP requests that run at once in a process, each in a thread; of more, each waits its turn.",
        minimum=1,
    )
    max_unread_answers = Integer(
        200,
        "Answers of a `serve` process, larger than 64 KiB, that wait for their clients to read on; of more, the one "
        "that waits longest is given up. A project whose processes serve large files themselves needs more.",
        minimum=1,
    )
    handshakes_per_second = Number(
        10.0,
        "Handshakes of one user that a process accepts a second, in bursts of twenty times as many; further ones wait.",
        minimum=0.01,
    )
    replay_bytes_per_second = Integer(
        1_048_576,
        "Bytes that one user's catch-ups may take a second in a process, in bursts of 32 times as many; further ones "
        "wait.",
        minimum=1,
        unit="bytes",
    )
    predrain_seconds = Number(
        1.0,
        "How long `serve` keeps listening after SIGTERM, so that a load balancer notices that /readyz answers 503.",
        maximum=3600,
        unit="seconds",
    )
    drain_seconds = Number(
        5.0, "Over how long `serve` then spreads the closing of its sockets.", maximum=3600, unit="seconds"
    )
    contacts = Choice(
        "message",
        "When two users become contacts, who see each other's presence: when one has written to the other, or only "
        "when both have (`answer`). A change concerns those who aren't contacts yet; contacts stay contacts.",
        choices=("message", "answer"),
    )
    origins = Origins(
        "Origins, besides the server's own, whose pages may open a socket and call the API with the user's cookies."
    )

    @property
    def is_testing(self) -> bool:
        """Whether Django's test environment is set up, by its test runner or by pytest-django."""
        utils: Any = sys.modules.get("django.test.utils")
        return utils is not None and hasattr(utils._TestState, "saved_data")

    @property
    def layer_is_local(self) -> bool:
        """Whether the channel layer reaches this process only."""
        from channels.layers import InMemoryChannelLayer

        from .default_layer import get_channel_layer

        return isinstance(get_channel_layer(), InMemoryChannelLayer)


conf = Conf()
