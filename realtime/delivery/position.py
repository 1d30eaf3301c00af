"""A client's position in its user's inbox: the one it claims, and the steps by which frames advance it."""

from typing import Any, NamedTuple, Protocol

from realtime import protocol


class ResumeRequest(NamedTuple):
    """The position that a client says it holds, as given: any JSON value, and an epoch or None for the present one."""

    since: Any
    epoch: str | None

    @property
    def revision(self) -> int | None:
        """None if `since` is no revision."""
        return protocol.as_revision(self.since)


class Step(Protocol):
    """What a frame of the inbox brings its client to: such a frame itself, or the envelope that it came in."""

    @property
    def revision(self) -> int: ...

    @property
    def unread_count(self) -> int: ...
