"""The log lines of an outage: one when it begins, one every ten minutes, one when it ends."""

import logging
import time

STILL_SECONDS = 600.0


class Outage:
    """`note` is called with each finding; most of them log nothing."""

    def __init__(self, logger: logging.Logger, began: str, still: str, ended: str) -> None:
        """The texts have a place for the reason, for the minutes and the reason, and for the seconds that it took."""
        self._logger = logger
        self._began, self._still, self._ended = began, still, ended
        self.since: float | None = None
        self._said_at = 0.0

    def note(self, reason: str | None) -> None:
        """`reason`: what is wrong; None: nothing is."""
        now = time.monotonic()
        if reason is None:
            if self.since is not None:
                self._logger.warning(self._ended, now - self.since)
            self.since = None
        elif self.since is None:
            self.since = self._said_at = now
            self._logger.warning(self._began, reason)
        elif now - self._said_at >= STILL_SECONDS:
            self._said_at = now
            self._logger.warning(self._still, (now - self.since) / 60, reason)
