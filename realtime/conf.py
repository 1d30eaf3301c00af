"""The settings of this app: REALTIME_*, each with its default. Read anew each time, so that tests may override them."""

from typing import Any

from django.conf import settings


def _get(name: str, default: Any) -> Any:
    return getattr(settings, f"REALTIME_{name}", default)


class Conf:
    @property
    def relay(self) -> bool:
        """Push after commit? Without it every notification waits for the sweep."""
        return bool(_get("RELAY", True))

    @property
    def layer_is_local(self) -> bool:
        """Does the channel layer end at this process?"""
        from channels.layers import InMemoryChannelLayer, get_channel_layer

        return isinstance(get_channel_layer(), InMemoryChannelLayer)

    @property
    def sweep_seconds(self) -> float:
        """How often inboxes are compared with what their sockets got."""
        return float(_get("SWEEP_SECONDS", 1 if self.layer_is_local else 15))

    @property
    def pending_seconds(self) -> float:
        """How old a pending notification gets before the sweep takes it, and how often it looks."""
        return float(_get("PENDING_SECONDS", 2))

    @property
    def heartbeat_seconds(self) -> int:
        return int(_get("HEARTBEAT_SECONDS", 25))

    @property
    def ping_seconds(self) -> float:
        """How often `serve` pings each socket, and how long it then waits: a dead peer is gone after twice this."""
        return float(_get("PING_SECONDS", 20))

    @property
    def recheck_seconds(self) -> float:
        """How often every login with a socket is looked up again."""
        return float(_get("RECHECK_SECONDS", 30))

    @property
    def max_connections_per_user(self) -> int:
        return int(_get("MAX_CONNECTIONS_PER_USER", 20))

    @property
    def offline_grace_seconds(self) -> float:
        """How long somebody stays online after their last socket was closed by them: a reload is no event."""
        return float(_get("OFFLINE_GRACE_SECONDS", 5))

    @property
    def lease_seconds(self) -> float:
        """How long a process counts as alive after it last said so. It says so three times in that time."""
        return float(_get("LEASE_SECONDS", 15))

    @property
    def max_age_seconds(self) -> float:
        """After how long a socket is closed; up to a tenth sooner, for those who came together shan't go together."""
        return float(_get("MAX_AGE_SECONDS", 12 * 3600))

    @property
    def slow_seconds(self) -> float:
        """A socket that took nothing for so long is closed."""
        return float(_get("SLOW_SECONDS", 30))

    @property
    def predrain_seconds(self) -> float:
        """How long `serve` goes on listening when it was told to stop, so that a load balancer notices."""
        return float(_get("PREDRAIN_SECONDS", 1))

    @property
    def drain_seconds(self) -> float:
        """Over how long `serve` then spreads the closing of its sockets."""
        return float(_get("DRAIN_SECONDS", 5))

    @property
    def origins(self) -> list[str]:
        """Origins, besides the server's own, whose pages may connect with a cookie."""
        return list(_get("ORIGINS", []))


conf = Conf()
