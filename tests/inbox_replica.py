"""A client's copy of an inbox, kept by docs/protocol.md §2 alone; a frame that the page doesn't allow fails the test.

It imports nothing of the project, so the tests of messaging, of realtime and of real processes share it.
tests/chaos/checker.py applies frames by code of its own, on purpose.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

ROWS_PER_LIVE_FRAME = 100

Frame = Mapping[str, Any]


class InboxReplica:
    """An inbox as a client holds it, over one connection after another.

    `complete`: whether `items` are all rows at `revision`, as none are at 0. Only then can the badge be checked.
    """

    def __init__(
        self,
        revision: int = 0,
        unread_count: int = 0,
        items: Iterable[Frame] = (),
        *,
        complete: bool | None = None,
    ) -> None:
        self.epoch: str | None = None
        self.revision = revision
        self.unread_count = unread_count
        self.items: dict[int, dict[str, Any]] = {item["id"]: dict(item) for item in items}
        self.complete = revision == 0 if complete is None else complete
        # How often each notification came in `added`, and the titles in that order; over all connections.
        self.times_added: Counter[int] = Counter()
        self.titles: list[str] = []
        self.resets = 0
        self.begin_connection(revision)

    def __eq__(self, other: object) -> bool:
        """Whether both show the same: they may have come there by different frames."""
        return isinstance(other, InboxReplica) and self._state() == other._state()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = dict(sorted(self.read_marks.items()))
        return f"<epoch {self.epoch}, revision {self.revision}, {self.unread_count} unread, read: {shown}>"

    def _state(self) -> tuple[object, ...]:
        return self.epoch, self.revision, self.unread_count, self.items

    @property
    def read_marks(self) -> dict[int, bool]:
        """Each notification's id: is it read?"""
        return {pk: item["is_read"] for pk, item in self.items.items()}

    @property
    def unread(self) -> int:
        """The number of unread items, which `unread_count` should be."""
        return sum(not item["is_read"] for item in self.items.values())

    def load(self, listed: "InboxReplica") -> None:
        """Show what was read over HTTP instead. Such items may be newer than their revision, but never older."""
        self.epoch, self.revision, self.unread_count = listed.epoch, listed.revision, listed.unread_count
        self.items = {pk: dict(item) for pk, item in listed.items.items()}
        self.complete = not self.items and not self.revision

    # --- Frames -------------------------------------------------------------------------------------------

    def begin_connection(self, since: int | None) -> None:
        """Expect the frames of a new connection that was opened with this `since`, or without one."""
        self.live = False
        self._frames = 0
        self._hello: Frame = {}
        self._with_since = since is not None
        self._first_catch_up = True
        # The last revision sent on this connection, and the last one of the replay in progress.
        self._cursor = self._replay_revision = 0
        self._replaying = False
        self._replayed_ids: set[int] = set()
        self.expect_catch_up(since)

    def expect_catch_up(self, since: int | None) -> None:
        """Expect a replay that starts at this revision, as after `resume`."""
        self._since = since

    def apply(self, frame: Frame) -> None:
        """Apply the next frame of the connection, after a check that it may come now."""
        kind = frame["type"]
        self._frames += 1
        expected = {1: "hello", 2: "presence_state"}.get(self._frames)
        allowed = kind == expected if expected else kind not in ("hello", "presence_state")
        assert allowed, f"{kind} as frame {self._frames}"
        apply = getattr(self, f"_apply_{kind}", None)
        if apply is not None:
            apply(frame)

    def _apply_hello(self, frame: Frame) -> None:
        self._hello = frame
        if not self._with_since:
            self.revision, self.unread_count = frame["revision"], frame["unread_count"]
        if frame["epoch"] == self.epoch:
            assert frame["revision"] >= self.revision, "the inbox went back"
            if frame["revision"] == self.revision:
                self._check_badge(frame)

    def _apply_inbox(self, frame: Frame) -> None:
        added = frame.get("added", [])
        changed = [pk for name in ("read", "unread", "removed") for pk in frame.get(name, [])]
        touched = [item["id"] for item in added] + changed
        assert touched, f"an empty revision: {frame}"
        assert len(touched) == len(set(touched)), f"a row twice in one frame: {frame}"
        if frame["replayed"]:
            self._check_replay(frame, touched)
        else:
            assert self.live, f"live before synced: {frame}"
            assert frame["revision"] == self._cursor + 1, f"live {frame['revision']} after {self._cursor}"
            assert len(touched) <= ROWS_PER_LIVE_FRAME, f"{len(touched)} rows in one revision"
        self._cursor = frame["revision"]
        if frame["replayed"] or frame["revision"] > self.revision:
            self._apply_rows(frame)
            if not frame["replayed"]:
                self._check_badge(frame)

    def _check_replay(self, frame: Frame, touched: list[int]) -> None:
        if not self._replaying:
            self._replaying, self.live = True, False
            self._replay_revision = self._cursor if self._since is None else self._since
            self._replayed_ids = set()
        assert frame["revision"] > self._replay_revision, (
            f"a replay that doesn't rise: {frame['revision']} after {self._replay_revision}"
        )
        self._replay_revision = frame["revision"]
        assert not frame.get("read"), "a replay carries rows, not changes"
        assert not frame.get("unread"), "a replay carries rows, not changes"
        assert not self._replayed_ids & set(touched), "a row twice in one replay"
        self._replayed_ids |= set(touched)

    def _apply_rows(self, frame: Frame) -> None:
        for item in frame.get("added", []):
            known = self.items.get(item["id"])
            self.items[item["id"]] = dict(item)
            if frame["replayed"] and known is not None and known["is_read"] != item["is_read"]:
                # Marked since it was sent: a replay carries the row again, and nothing new.
                continue
            assert frame["replayed"] or not self.complete or known is None, f"added twice: {item}"
            self.times_added[item["id"]] += 1
            self.titles.append(item.get("title", ""))
        for name in ("read", "unread"):
            for pk in frame.get(name, []):
                if pk in self.items:
                    self.items[pk]["is_read"] = name == "read"
        for pk in frame.get("removed", []):
            self.items.pop(pk, None)
        self.revision, self.unread_count = frame["revision"], frame["unread_count"]

    def _apply_synced(self, frame: Frame) -> None:
        least = self._hello["revision"] if self._first_catch_up else self._cursor
        assert frame["revision"] >= max(self._cursor, least), f"synced goes back: {frame}"
        self._end_catch_up(frame, resumed=self._with_since)
        self.epoch = self._hello["epoch"]
        self._check_badge(frame)

    def _apply_reset(self, frame: Frame) -> None:
        self.resets += 1
        self._end_catch_up(frame, resumed=False)
        self.items.clear()
        self.complete = False

    def _end_catch_up(self, frame: Frame, *, resumed: bool) -> None:
        if self._first_catch_up:
            assert self._hello["resumed"] is resumed, f"{self._hello}, then {frame}"
        self.revision, self.unread_count = frame["revision"], frame["unread_count"]
        self._cursor = frame["revision"]
        self._first_catch_up = self._replaying = False
        self._since, self.live = None, True

    def _apply_heartbeat(self, frame: Frame) -> None:
        if self.live:
            assert frame["revision"] == self._cursor, f"{frame} on a connection at {self._cursor}"

    def _check_badge(self, frame: Frame) -> None:
        if self.complete:
            assert frame["unread_count"] == self.unread, f"the badge is wrong: {frame}; {self}"


class PresenceReplica:
    """What a client knows of its contacts, by username, and each change whose version was higher."""

    def __init__(self) -> None:
        self.contacts: dict[str, dict[str, Any]] = {}
        self.changes: list[Frame] = []

    def apply(self, frame: Frame) -> None:
        if frame["type"] == "presence_state":
            for known in self.contacts.values():
                known["is_online"] = False
            for entry in frame["online"]:
                assert entry["is_online"] is True
                self.contacts[entry["user"]["username"]] = dict(entry)
        elif frame["type"] == "presence":
            known = self.contacts.get(frame["user"]["username"], {"version": -1})
            if frame["version"] > known["version"]:
                self.contacts[frame["user"]["username"]] = dict(frame)
                self.changes.append(frame)
