"""Random sequences against a model: whatever is lost, doubled, late or slow, a page ends with what a fresh read gives.

The messaging code, the hub and its reader are the real ones; the channel layer between them is a list of messages that
Hypothesis delivers, drops, doubles and shuffles. MODEL_EXAMPLES makes it longer (default 40 sequences).
"""

import asyncio
import contextlib
import json
import os
import time
from typing import Any, ClassVar

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from messaging import events, grouping, inboxes, notifications, schemas
from messaging.models import Notification
from messaging.tests.domain_replica import check_counts, fresh_read
from messaging.tests.grouped import check_groups, declare
from realtime import background
from realtime.auth import Login
from realtime.delivery import backlog, replay, sweeps
from realtime.delivery import recovery as recovery_module
from realtime.delivery import user_sockets as user_sockets_module
from realtime.delivery.client_socket import ClientSocket
from realtime.delivery.hub import Hub
from realtime.delivery.position import ResumeRequest
from realtime.outbound import announcements
from realtime.outbound.envelopes import AnnouncementEnvelope
from realtime.outbound.receivers import encoded
from realtime.tests import layers
from realtime.tests.client import TIMEOUT, notify_titles
from tests.inbox_replica import InboxReplica

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "40"))
# A control ends with the first sequence that finds its defect.
CONTROL_EXAMPLES = 10 * EXAMPLES
MAX_TABS = 3

users = st.sampled_from(["ada", "grace"])
pages = st.sampled_from("aab")
which = st.integers(0, 1_000)
some = st.lists(which, min_size=1, max_size=4)


class Undo(Exception):
    """Raised to roll a transaction back."""


class Tab:
    """A page: a copy of the inbox over one connection after another, and whether its socket takes data."""

    def __init__(self, user: schemas.User) -> None:
        self.user = user
        self.copy = InboxReplica()
        self.epoch: str | None = None
        self.socket: ClientSocket | None = None
        self.takes = asyncio.Event()
        self.takes.set()
        self.faults: list[Exception] = []

    def begin(self, since: int, rows: dict[int, bool], hub: Hub) -> ClientSocket:
        """Make its next connection, for which the client holds these rows at this revision."""
        items = [{"id": pk, "is_read": is_read} for pk, is_read in rows.items()]
        self.copy = InboxReplica(since, items=items, complete=True)
        socket: ClientSocket

        async def send(message: dict[str, Any]) -> None:
            if not self.takes.is_set():
                await self.takes.wait()
            if self.socket is socket and message["type"] == "websocket.send":
                self.take(json.loads(message["text"]))

        login = Login(self.user, "session")
        request = ResumeRequest(since, self.epoch)
        self.socket = socket = ClientSocket(login, send, request, enqueue=hub.recovery.enqueue)
        return socket

    def take(self, frame: dict[str, Any]) -> None:
        try:
            assert frame["type"] != "reset", f"nothing here calls for a {frame}"
            self.copy.apply(frame)
            self.epoch = frame.get("epoch", self.epoch)
        except Exception as error:
            # The server mustn't see it: to it a send that fails is a client that has gone.
            self.faults.append(error)

    @property
    def at_rest(self) -> bool:
        socket = self.socket
        return socket is None or (socket.is_live and not socket.is_blocked)


class Inboxes(RuleBasedStateMachine):
    """Two people, up to three pages each, and a network that does what the channel layer's specification allows."""

    cast: ClassVar[dict[str, schemas.User]]

    def __init__(self) -> None:
        super().__init__()
        # Living rows by user: is it read?
        self.rows: dict[str, dict[int, bool]] = {name: {} for name in self.cast}
        self.tabs: dict[str, list[Tab]] = {name: [] for name in self.cast}
        self.network: list[dict[str, Any]] = []
        self.late = 0
        self.loop = asyncio.new_event_loop()
        events.revisions_assigned.connect(self.send)
        self.hub = self.run(self.begin())

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    async def begin(self) -> Hub:
        hub = Hub()
        hub.start()
        return hub

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            events.revisions_assigned.disconnect(self.send)
            self.run(self.end())
            self.loop.close()
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM messaging_notification")
                cursor.execute("DELETE FROM messaging_inbox")

    async def end(self) -> None:
        await self.hub.stop()
        mine = [task for task in background._tasks if task.get_loop() is self.loop]
        await background.cancel_all(mine)

    def send(self, sender: Any, *, revisions: list[notifications.Revision], **kwargs: Any) -> None:
        """What the relay does with the revisions assigned, by any thread."""
        self.network += [message for _, message in encoded(revisions)]

    # --- Writers ------------------------------------------------------------------------------------------

    @rule(name=users, count=st.sampled_from([1, 1, 1, 2, 3, 130]))
    def create(self, name: str, count: int) -> None:
        rows = notifications.notify_many([self.cast[name].id] * count, "announcement", "Hello")
        self.rows[name] |= {row.pk: False for row in rows}

    @rule(late=st.booleans())
    def announce(self, late: bool) -> None:
        """The same for both, in one message if neither has anything pending. `late`: the revisions are."""
        with transaction.atomic() if late else contextlib.nullcontext():
            rows = notifications.notify_many(
                [self.cast[name].id for name in self.cast], "announcement", "All"
            )
        for name, user in self.cast.items():
            self.rows[name] |= {row.pk: False for row in rows if row.user_id == user.id}

    @rule(
        name=users,
        page=pages,
        count=st.sampled_from([1, 1, 2, 3, 130]),
        late=st.booleans(),
        push=st.booleans(),
    )
    def comment(self, name: str, page: str, count: int, late: bool, push: bool) -> None:
        """New ones of a group. `late`: committed after rows with higher ids. `push`: all of the user's arrives."""
        user = self.cast[name].id
        rows = [notifications.build(user, "comment", "Hello", data={"page": page}) for _ in range(count)]
        if late:
            self.late -= 1
            rows[0].pk = self.late
            rows[0].save(force_insert=True)
        else:
            notifications.create(rows)
        if push:
            self.assign(name)
            self.deliver_all()

    @rule(name=users, what=st.sampled_from(["read", "unread", "removed"]), picks=some)
    def mark_comments(self, name: str, what: str, picks: list[int]) -> None:
        """Those that a page can show."""
        user = self.cast[name].id
        shown = Notification.objects.presentable().filter(user=user, notification_type="comment")
        ids = list(shown.order_by("id").values_list("id", flat=True))
        chosen = {ids[pick % len(ids)] for pick in picks if ids}
        changes = {
            "read": notifications.mark_read,
            "unread": notifications.mark_unread,
            "removed": notifications.remove,
        }
        changes[what](user, chosen)

    def chosen(self, name: str, picks: list[int]) -> list[int]:
        ids = sorted(self.rows[name])
        return sorted({ids[pick % len(ids)] for pick in picks}) if ids else []

    def change(self, name: str, what: str, picks: list[int]) -> None:
        """Mark or remove some of a user's rows, in the model and in the database."""
        ids, user, rows = self.chosen(name, picks), self.cast[name].id, self.rows[name]
        if what == "removed":
            assert notifications.remove(user, ids) == ids
            for pk in ids:
                del rows[pk]
            return
        is_read = what == "read"
        mark = notifications.mark_read if is_read else notifications.mark_unread
        assert mark(user, ids) == [pk for pk in ids if rows[pk] != is_read]
        rows |= dict.fromkeys(ids, is_read)

    changes = st.sampled_from(["read", "unread", "removed"])

    @rule(name=users, what=changes, picks=some)
    def mark(self, name: str, what: str, picks: list[int]) -> None:
        self.change(name, what, picks)

    @rule(name=users, many=st.lists(st.tuples(changes, some), max_size=3), undo=st.booleans())
    def together(self, name: str, many: list[tuple[str, list[int]]], undo: bool) -> None:
        """Several changes in one transaction, which may be rolled back."""
        before = dict(self.rows[name])
        try:
            with transaction.atomic():
                self.create(name, 1)
                for what, picks in many:
                    self.change(name, what, picks)
                if undo:
                    raise Undo
        except Undo:
            self.rows[name] = before

    # --- The relay and the network ------------------------------------------------------------------------

    @rule(name=users)
    def assign(self, name: str) -> None:
        notifications.assign_revisions([self.cast[name].id])

    @rule(pick=which, keep=st.booleans())
    def deliver(self, pick: int, keep: bool) -> None:
        """Any message in flight arrives; it may come again."""
        if self.network:
            place = pick % len(self.network)
            self.take(self.network[place] if keep else self.network.pop(place))

    @rule()
    def deliver_all(self) -> None:
        while self.network:
            self.take(self.network.pop(0))

    @rule(pick=which)
    def lose(self, pick: int) -> None:
        if self.network:
            self.network.pop(pick % len(self.network))

    def take(self, message: dict[str, Any]) -> None:
        async def take() -> None:
            self.hub.handle(message)

        self.run(take())

    # --- Pages --------------------------------------------------------------------------------------------

    @rule(name=users, from_nothing=st.booleans(), wait=st.booleans())
    def connect(self, name: str, from_nothing: bool, wait: bool) -> None:
        """A page opens: from nothing, or with the list that it has read first. `wait`: until it is live."""
        if len(self.tabs[name]) < MAX_TABS:
            tab = Tab(self.cast[name])
            self.tabs[name].append(tab)
            since, rows = 0, {}
            if not from_nothing:
                since = inboxes.state(tab.user.id).revision
                rows = fresh_read(tab.user.id).read_marks
            self.run(self.attach(tab, since, rows))
            if wait:
                self.run(self.rest(tab))

    async def attach(self, tab: Tab, since: int, rows: dict[int, bool]) -> None:
        await self.hub.attach(tab.begin(since, rows, self.hub))

    def tab(self, name: str, pick: int) -> Tab | None:
        tabs = self.tabs[name]
        return tabs[pick % len(tabs)] if tabs else None

    @rule(name=users, pick=which, for_good=st.booleans())
    def disconnect(self, name: str, pick: int, for_good: bool) -> None:
        """A socket ends; its page comes back at once, from the revision it holds, or never."""
        tab = self.tab(name, pick)
        if tab is not None:
            self.run(self.drop(tab))
            if for_good:
                self.tabs[name].remove(tab)
            else:
                self.run(self.attach(tab, tab.copy.revision, tab.copy.read_marks))

    async def drop(self, tab: Tab) -> None:
        if tab.socket is not None:
            tab.socket.abandon()
            self.hub.detach(tab.socket)
        tab.socket = None
        tab.takes.set()

    @rule(name=users, pick=which)
    def stop_reading(self, name: str, pick: int) -> None:
        if tab := self.tab(name, pick):
            tab.takes.clear()

    @rule(name=users, pick=which)
    def read_on(self, name: str, pick: int) -> None:
        if tab := self.tab(name, pick):
            tab.takes.set()

    @rule(name=users, pick=which)
    def resume(self, name: str, pick: int) -> None:
        """What the consumer does with a `resume`."""
        tab = self.tab(name, pick)
        if tab is not None and tab.socket is not None and tab.socket.is_live and not tab.socket.is_blocked:
            tab.copy.live = False
            tab.socket.resume(ResumeRequest(tab.copy.revision, tab.epoch))

    # --- Time ---------------------------------------------------------------------------------------------

    @rule(turns=st.integers(1, 20))
    def go_on(self, turns: int) -> None:
        """The event loop runs a little: what is under way may or may not be finished."""

        async def turn() -> None:
            for _ in range(turns):
                await asyncio.sleep(0.0002)

        self.run(turn())

    @rule()
    def sweep(self) -> None:
        self.run(self.hub.sweeps.sweep_pending())
        self.run(self.hub.sweeps.sweep())

    @rule()
    def settle(self) -> None:
        """Nothing more is delivered: one sweep, and everybody has everything."""
        everybody = [tab for tabs in self.tabs.values() for tab in tabs]
        for tab in everybody:
            tab.takes.set()
        self.run(self.rest(*everybody))
        self.sweep()
        self.run(self.rest(*everybody))
        for name, tabs in self.tabs.items():
            user = self.cast[name].id
            inboxes.state(user)
            truth = fresh_read(user)
            of_groups = Notification.objects.filter(user=user, notification_type="comment")
            titles = dict(of_groups.values_list("id", "title"))
            plain = {pk: is_read for pk, is_read in truth.read_marks.items() if pk not in titles}
            assert plain == self.rows[name], "the database isn't what the model is"
            check_counts(user)
            check_groups()
            for tab in tabs:
                assert not tab.faults, tab.faults
                shown = (tab.copy.revision, tab.copy.unread_count, tab.copy.read_marks)
                assert shown == (truth.revision, truth.unread_count, truth.read_marks), (
                    f"{shown}, but {truth}"
                )
                told = {
                    pk: row["title"] for pk, row in tab.copy.items.items() if pk in titles and "title" in row
                }
                assert told.items() <= titles.items(), "a text has changed"

    async def rest(self, *waiting: Tab) -> None:
        """Wait until these have been brought up to date."""
        deadline = time.monotonic() + TIMEOUT
        while not all(tab.at_rest for tab in waiting):
            assert time.monotonic() < deadline, "a connection stays behind"
            await asyncio.sleep(0.0005)

    @invariant()
    def no_client_was_misinformed(self) -> None:
        faults = [fault for tabs in self.tabs.values() for tab in tabs for fault in tab.faults]
        assert not faults, faults


def play(examples: int, *, shrink: bool = True) -> None:
    """Play so many sequences, always the same ones."""
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    run_state_machine_as_test(
        Inboxes,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            derandomize=True,
            database=None,
            deadline=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture(autouse=True)
def machine(ada, grace, settings, monkeypatch):
    """No push but by the machine's network, no sweep but by its rule; and a backlog that overflows soon."""
    declare(monkeypatch)
    settings.CHANNEL_LAYERS = layers.channel_layers_with(layers.DroppingLayer)
    settings.REALTIME_RELAY = False
    settings.REALTIME_PENDING_SECONDS = -1
    monkeypatch.setattr(sweeps.Sweeps, "periodic_tasks", lambda self: [])
    monkeypatch.setattr(sweeps, "IN_FLIGHT_SECONDS", 0)
    monkeypatch.setattr(user_sockets_module, "GAP_SECONDS", 0.0005)
    monkeypatch.setattr(backlog, "MAX_BACKLOG_FRAMES", 3)
    monkeypatch.setattr(announcements, "MIN_USERS", 2)
    Inboxes.cast = {user.username: schemas.User(id=user.pk, username=user.username) for user in (ada, grace)}


def test_list_and_frames_are_a_fresh_read_whatever_happens():
    play(EXAMPLES)


# --- Controls: a defect in any of the parts is found -----------------------------------------------------------------

# The loop runs in real time: a defect that doesn't show again when its sequence is played once more was found, too.
FOUND = (AssertionError, Flaky)


def test_a_hub_that_does_not_sweep_is_found_out(monkeypatch):
    async def skip(self: Any) -> None: ...

    monkeypatch.setattr(sweeps.Sweeps, "sweep", skip)
    with pytest.raises(FOUND):
        play(CONTROL_EXAMPLES, shrink=False)


def test_a_replay_that_begins_one_too_late_is_found_out(monkeypatch):
    plan = replay.plan

    def late(missed: Any, position: Any) -> Any:
        first = min((row.revision for row in missed.rows), default=0)
        missed.rows = [row for row in missed.rows if row.revision > first]
        return plan(missed, position)

    monkeypatch.setattr(recovery_module, "plan", late)
    with pytest.raises(FOUND):
        play(CONTROL_EXAMPLES, shrink=False)


def test_frames_sent_as_they_come_are_found_out(monkeypatch):
    def push(self: Any, pushed: Any) -> None:
        for each in self.sockets:
            if each.is_live:
                each.send(pushed.frame, pushed)

    monkeypatch.setattr(user_sockets_module.UserSockets, "push", push)
    with pytest.raises(FOUND):
        play(CONTROL_EXAMPLES, shrink=False)


def test_an_announcement_with_the_numbers_of_another_user_is_found_out(monkeypatch):
    of = AnnouncementEnvelope.of

    def swapped(self: Any, wanted: Any) -> Any:
        return of(AnnouncementEnvelope(self.users, self.numbers[::-1], self.parts), wanted)

    monkeypatch.setattr(AnnouncementEnvelope, "of", swapped)
    with pytest.raises(FOUND):
        play(CONTROL_EXAMPLES, shrink=False)


def test_groups_whose_older_rows_leave_unannounced_are_found_out(monkeypatch):
    collapse = grouping.collapse

    def unannounced(rows: Any, *args: Any) -> Any:
        known = {row["id"] for row in rows}
        announced = collapse(rows, *args)
        for row in announced:
            if row["id"] not in known:
                # The count stays right.
                first = next(
                    one for one in announced if one["user_id"] == row["user_id"] and one["id"] in known
                )
                first["was_counted"] = first["was_counted"] + 1
        return [row for row in announced if row["id"] in known]

    monkeypatch.setattr(grouping, "collapse", unannounced)
    with pytest.raises(FOUND):
        play(CONTROL_EXAMPLES, shrink=False)


def test_a_text_that_changes_after_it_was_sent_is_found_out(monkeypatch):
    older = grouping._older

    def renamed(*args: Any) -> Any:
        rows = older(*args)
        Notification._base_manager.filter(pk__in=[row["id"] for row in rows]).update(title="another")
        return [] if rows else rows

    monkeypatch.setattr(grouping, "_older", renamed)
    with pytest.raises(FOUND):
        play(CONTROL_EXAMPLES, shrink=False)


def test_the_machine_itself_works(ada):
    """The machine's own parts work: a row of a writer is in a page's copy once everything has settled."""
    machine = Inboxes()
    machine.connect("ada", from_nothing=True, wait=True)
    [pk] = notify_titles(ada, "Hello")
    machine.rows["ada"][pk] = False
    machine.settle()
    [tab] = machine.tabs["ada"]
    assert tab.copy.read_marks == {pk: False}
    machine.teardown()
