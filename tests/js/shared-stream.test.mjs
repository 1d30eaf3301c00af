import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../../static/client/http.js";
import { settle } from "../../static/client/testing/fake-clock.js";
import { FakeTabs, NAME, live, page, snapshot, synced } from "./fake-tabs.mjs";
import "./seeded-jitter.mjs";

/** A tab that leads, and a peer. */
async function leading() {
  const tabs = new FakeTabs();
  const peer = tabs.peer();
  const tab = tabs.tab("ada's");
  tab.stream.start();
  await settle();
  assert.equal(tab.stream.role, "leader");
  return { ...tabs, tabs, peer, ...tab };
}

/** A tab that follows a peer and has applied the peer's snapshot at revision 5. */
async function following() {
  const tabs = new FakeTabs();
  const peer = tabs.peer();
  peer.takeLock();
  const tab = tabs.tab("ada's");
  tab.stream.start();
  await settle();
  peer.post({ kind: "elected", snapshot: snapshot(5) });
  await settle();
  tab.applied.position = { since: 5, epoch: "e1" };
  assert.deepEqual([tab.stream.role, tab.details("snapshot").length], ["follower", 1]);
  const self = peer.kinds("snapshot_request")[0].from;
  peer.received.length = tab.events.length = 0;
  return { ...tabs, tabs, peer, self, ...tab };
}

// Leading --------------------------------------------------------------------------------------------------------

test("a single tab is elected, announces it and starts its stream", async () => {
  const { peer, own, types } = await leading();
  assert.deepEqual(peer.kinds("elected").length, 1);
  assert.deepEqual(own.calls, ["start"]);
  assert.deepEqual(types(), ["state", "role"]);
});

test("a new leader handles all messages of former leaders before it leads and connects", async () => {
  const { peer, loop, own, stream, events, types } = await following();
  loop.hold("channel");
  peer.post({ kind: "page", page: page(8) });
  peer.post({ kind: "frame", frame: live(9), showIn: "another" });
  peer.releaseLock();
  await settle();
  assert.deepEqual([stream.role, own.calls, events], ["follower", [], []], "the lock alone isn't enough");
  loop.release("channel");
  await settle();
  assert.deepEqual(types(), ["page", "message", "role"]);
  assert.deepEqual([stream.role, own.calls], ["leader", ["start"]]);
});

test("the marker of a term that is over has no effect", async () => {
  const { tabs, peer, loop, own, stream } = await following();
  loop.hold("channel");
  peer.releaseLock();
  await settle();
  tabs.peer("thief").takeLock({ steal: true });
  await settle();
  loop.release("channel");
  await settle();
  assert.equal(stream.role, "follower");
  assert.ok(!own.calls.includes("start"));
});

test("events of the stream are broadcast to the other tabs and emitted here, in the same order", async () => {
  const { peer, own, types } = await leading();
  own.emit("page", page(5));
  own.emit("message", { frame: synced(5), showHere: true });
  own.emit("frame", { text: "…" });
  own.emit("state", { state: "connected" });
  await settle();
  assert.deepEqual(types().slice(2), ["page", "message", "frame", "state"]);
  const kinds = peer.received.map(({ kind }) => kind);
  assert.deepEqual(kinds.filter((kind) => ["page", "frame", "trace", "state"].includes(kind)), ["page", "frame", "trace", "state"]);
});

test("an error of the stream is emitted in this tab only", async () => {
  const { peer, own, details } = await leading();
  const before = peer.received.length;
  own.emit("error", "no");
  await settle();
  assert.deepEqual([details("error"), peer.received.length], [["no"], before]);
});

test("a leader that has lost the lock without notice broadcasts and emits nothing, and follows", async () => {
  const { tabs, peer, loop, own, stream, details } = await leading();
  loop.hold("locks"); // a frozen tab: it isn't notified of the theft yet
  tabs.peer("thief").takeLock({ steal: true });
  own.emit("message", { frame: live(6), showHere: true });
  await settle();
  loop.release("locks");
  await settle();
  assert.deepEqual(details("message"), []);
  assert.deepEqual(peer.kinds("frame"), []);
  assert.deepEqual([stream.role, own.calls], ["follower", ["start", "stop"]]);
  assert.equal(peer.received.at(-1).kind, "snapshot_request");
});

test("a leader whose lock is stolen follows at once, and queues for the lock again", async () => {
  const { tabs, own, stream, details } = await leading();
  const thief = tabs.peer("thief");
  thief.takeLock({ steal: true });
  await settle();
  assert.deepEqual([stream.role, own.calls, details("role")], ["follower", ["start", "stop"], ["leader", "follower"]]);
  own.emit("state", { state: "disconnected" });
  own.emit("error", "no");
  await settle();
  assert.deepEqual([details("state").length, details("error")], [1, []], "the last events of its own stream are ignored");
  thief.releaseLock();
  await settle();
  assert.equal(stream.role, "leader");
});

test("of two tabs that consider themselves leader, the one without the lock steps down", async () => {
  const { tabs, peer, loop, stream } = await leading();
  peer.post({ kind: "elected", snapshot: null });
  await settle();
  assert.equal(stream.role, "leader", "it holds the lock: the other tab is wrong");
  loop.hold("locks");
  tabs.peer("thief").takeLock({ steal: true });
  loop.discard("locks"); // it is never notified of the theft
  await settle();
  assert.equal(stream.role, "leader");
  peer.post({ kind: "pong", to: "another" });
  await settle();
  assert.equal(stream.role, "follower");
});

test("the leader's stream continues from the inbox's position once the outbox is flushed", async () => {
  const { own, loop, applied } = await leading();
  assert.equal(own.position(), null);
  applied.position = { since: 3, epoch: "e1" };
  assert.deepEqual(own.position(), { since: 3, epoch: "e1" });
  loop.hold("locks");
  own.emit("page", page(7, "e2"));
  assert.deepEqual(own.position(), { since: 7, epoch: "e2" });
  applied.position = { since: 7, epoch: "e2" };
  loop.release("locks");
  await settle();
  assert.deepEqual(own.position(), { since: 7, epoch: "e2" });
});

// Which tab shows a toast ----------------------------------------------------------------------------------------

const VISIBLE = { isVisible: true, focusedAt: 100 };

test("toasts are shown in the visible tab that was focused last; with none visible, in the leader", async () => {
  const { clock, peer, own, lifecycle, details } = await leading();
  const shownIn = async () => {
    own.emit("message", { frame: live(6), showHere: true });
    await settle();
    const { showIn } = peer.kinds("frame").at(-1);
    return { showHere: details("message").at(-1).showHere, inPeer: showIn === peer.name };
  };
  lifecycle.setVisibility(true, 50);
  assert.deepEqual(await shownIn(), { showHere: true, inPeer: false });
  peer.post({ kind: "visibility", visibility: VISIBLE });
  await settle();
  assert.deepEqual(await shownIn(), { showHere: false, inPeer: true });
  lifecycle.setVisibility(true, 200);
  assert.deepEqual(await shownIn(), { showHere: true, inPeer: false }, "the leader was focused later");
  lifecycle.setVisibility(false, 200);
  assert.deepEqual(await shownIn(), { showHere: false, inPeer: true }, "hidden leader, visible follower");
  peer.post({ kind: "visibility", visibility: { ...VISIBLE, isVisible: false } });
  await settle();
  assert.deepEqual(await shownIn(), { showHere: true, inPeer: false }, "none visible");
  peer.post({ kind: "ping", visibility: VISIBLE });
  await settle();
  assert.deepEqual(await shownIn(), { showHere: false, inPeer: true }, "a ping carries the visibility, too");
  await clock.advance(3_001);
  assert.deepEqual(await shownIn(), { showHere: true, inPeer: false }, "silent for over three seconds: it may hang");
  peer.post({ kind: "visibility", visibility: VISIBLE });
  peer.post({ kind: "leaving" });
  await settle();
  assert.deepEqual(await shownIn(), { showHere: true, inPeer: false }, "it has left");
});

test("a tab reports itself as visible only once it has a snapshot", async () => {
  const tabs = new FakeTabs();
  const peer = tabs.peer();
  peer.takeLock();
  const { stream, lifecycle } = tabs.tab("ada's");
  stream.start();
  await settle();
  lifecycle.setVisibility(true, 10);
  await settle();
  assert.deepEqual(peer.kinds("visibility").at(-1).visibility, { isVisible: false, focusedAt: 10 });
  peer.post({ kind: "elected", snapshot: snapshot(5) });
  await settle();
  assert.deepEqual(peer.kinds("visibility").at(-1).visibility, { isVisible: true, focusedAt: 10 });
});

test("a follower shows only the toasts for which the leader chose it", async () => {
  const { peer, self, details } = await following();
  for (const showIn of ["another", self, undefined]) peer.post({ kind: "frame", frame: live(6), showIn });
  await settle();
  assert.deepEqual(details("message").map(({ showHere }) => showHere), [false, true, false]);
});

// Following ------------------------------------------------------------------------------------------------------

test("a tab requests a snapshot when it joins, and applies the answer that is addressed to it", async () => {
  const tabs = new FakeTabs();
  const peer = tabs.peer();
  peer.takeLock();
  const { stream, details } = tabs.tab("ada's");
  stream.start();
  await settle();
  const [request] = peer.kinds("snapshot_request");
  peer.post({ kind: "snapshot", to: request.from, snapshot: null });
  await settle();
  assert.deepEqual(details("snapshot"), [], "the leader has no snapshot itself yet");
  peer.post({ kind: "snapshot", to: request.from, snapshot: snapshot(5) });
  await settle();
  assert.deepEqual(details("snapshot"), [snapshot(5)]);
});

test("a snapshot for another tab is applied only by a tab that isn't in sync", async () => {
  const { peer, stream, details } = await following();
  peer.post({ kind: "snapshot", to: "another", snapshot: snapshot(6) });
  await settle();
  assert.deepEqual(details("snapshot"), []);
  stream.recover();
  peer.post({ kind: "snapshot", to: "another", snapshot: snapshot(7) });
  await settle();
  assert.deepEqual(details("snapshot"), [snapshot(7)]);
});

test("a new leader's first snapshot is applied by every tab, also when the same tab leads again", async () => {
  const { tabs, details, peer, self } = await following();
  peer.post({ kind: "elected", snapshot: snapshot(6) });
  peer.post({ kind: "snapshot", to: self, snapshot: snapshot(7) });
  tabs.peer("next").post({ kind: "elected", snapshot: snapshot(8) });
  await settle();
  assert.deepEqual(details("snapshot"), [6, 7, 8].map((revision) => snapshot(revision)));
});

test("a tab that isn't in sync emits only live revisions: their number shows what is missing before them", async () => {
  const tabs = new FakeTabs();
  const peer = tabs.peer();
  peer.takeLock();
  const { stream, details } = tabs.tab("ada's");
  stream.start();
  await settle();
  peer.post({ kind: "elected", snapshot: null });
  for (const frame of [synced(4), { ...live(5), replayed: true }, live(6)]) peer.post({ kind: "frame", frame });
  await settle();
  assert.deepEqual(details("message").map(({ frame }) => frame), [live(6)]);
});

test("from a tab that doesn't lead, only live revisions are applied: they may be the last frames of a former leader", async () => {
  const { tabs, types, details } = await following();
  const former = tabs.peer("former");
  former.post({ kind: "frame", frame: live(6) });
  former.post({ kind: "frame", frame: synced(6) });
  former.post({ kind: "page", page: page(9) });
  former.post({ kind: "state", change: { state: "disconnected" } });
  await settle();
  assert.deepEqual(types(), ["message"]);
  assert.deepEqual(details("message")[0].frame, live(6));
});

test("a leader that is discovered by its pong is requests for a snapshot", async () => {
  const { tabs, types } = await following();
  const other = tabs.peer("other");
  other.post({ kind: "pong", to: "another" });
  other.post({ kind: "frame", frame: synced(9) });
  await settle();
  assert.deepEqual(types(), [], "not in sync with it");
  assert.equal(other.kinds("snapshot_request").length, 1);
});

test("a visible tab steals the lock after three missed pings, a hidden one after six", async () => {
  for (const [isVisible, maxMissed] of /** @type {const} */ ([[true, 3], [false, 6]])) {
    const { locks, clock, peer, lifecycle } = await following();
    lifecycle.setVisibility(isVisible, 1);
    await clock.advance(maxMissed * 1_000 + 999);
    assert.equal(peer.kinds("ping").length, maxMissed);
    assert.equal(locks.holder(NAME), peer.name);
    await clock.advance(1);
    assert.equal(locks.holder(NAME), "ada's");
  }
});

test("any message of the leader counts as a pong; messages of other tabs don't", async () => {
  const { locks, clock, peer, tabs } = await following();
  for (let i = 0; i < 10; i++) {
    await clock.advance(2_000);
    peer.post({ kind: "trace", traced: {} });
  }
  await settle();
  assert.equal(locks.holder(NAME), peer.name);
  const other = tabs.peer("other");
  for (let i = 0; i < 5; i++) {
    await clock.advance(1_000);
    other.post({ kind: "trace", traced: {} });
  }
  assert.equal(locks.holder(NAME), "ada's");
});

test("a leader answers pings and requests, and sends none", async () => {
  const { clock, peer } = await leading();
  peer.received.length = 0;
  await clock.advance(5_000);
  assert.deepEqual(peer.kinds("ping"), []);
  peer.post({ kind: "ping", visibility: VISIBLE });
  peer.post({ kind: "snapshot_request", visibility: VISIBLE });
  await settle();
  assert.deepEqual(peer.received.map(({ kind, to }) => [kind, to]), [["pong", peer.name], ["snapshot", peer.name]]);
});

// Recover and reconnect ------------------------------------------------------------------------------------------------

test("a follower that found a gap requests a snapshot, and emits no catch-up until it has applied it", async () => {
  const { peer, own, stream, details } = await following();
  stream.recover();
  peer.post({ kind: "frame", frame: synced(7) });
  await settle();
  assert.deepEqual([details("message"), own.calls], [[], []]);
  const [request] = peer.kinds("snapshot_request");
  peer.post({ kind: "snapshot", to: request.from, snapshot: snapshot(7) });
  peer.post({ kind: "frame", frame: synced(7) });
  await settle();
  assert.deepEqual([details("snapshot").length, details("message").length], [1, 1]);
});

test("a leader that found a gap recovers by its stream", async () => {
  const { peer, own, stream } = await leading();
  const before = peer.received.length;
  stream.recover();
  await settle();
  assert.deepEqual([own.calls, peer.received.length], [["start", "recover"], before]);
});

test("reconnect in a follower reaches the leader's stream", async () => {
  const follower = await following();
  follower.stream.reconnect();
  await settle();
  assert.deepEqual([follower.peer.kinds("reconnect").length, follower.own.calls], [1, []]);

  const leader = await leading();
  leader.peer.post({ kind: "reconnect" });
  await settle();
  leader.stream.reconnect();
  assert.deepEqual(leader.own.calls, ["start", "reconnect", "reconnect"]);

  leader.stream.stop();
  leader.stream.reconnect();
  await settle();
  assert.deepEqual(leader.own.calls.slice(-2), ["stop", "start"], "a stopped one starts again");
});

// Start, stop, suspend, resume -----------------------------------------------------------------------------------------------

test("a leader that stops announces it, releases the lock and handles no further message", async () => {
  const { tabs, peer, own, stream, lifecycle, events } = await leading();
  const next = tabs.tab("next");
  next.stream.start();
  stream.stop(4500, "over");
  await settle();
  assert.deepEqual([peer.kinds("leaving").length, next.stream.role, own.calls, lifecycle.isObserving], [1, "leader", ["start", "stop"], false]);
  assert.deepEqual(events.at(-1), ["state", { state: "disconnected", code: 4500, reason: "over", retryIn: null }]);
  const before = events.length;
  peer.post({ kind: "elected", snapshot: snapshot(9) });
  stream.stop();
  await settle();
  assert.equal(events.length, before, "no further message handled, and not stopped twice");
});

test("a page that is closed or frozen hands over at once; resumed, it starts with the list", async () => {
  const { tabs, own, stream, lifecycle, applied, details } = await leading();
  applied.position = { since: 5, epoch: "e1" };
  const next = tabs.tab("next");
  next.stream.start();
  await settle();
  lifecycle.dispatchEvent(new Event("suspend"));
  lifecycle.dispatchEvent(new Event("suspend"));
  await settle();
  assert.deepEqual([next.stream.role, stream.role, own.calls], ["leader", "follower", ["start", "stop"]]);
  assert.equal(details("state").length, 1, "no state is emitted into a suspended page");
  lifecycle.dispatchEvent(new Event("resume"));
  await settle();
  assert.equal(own.position(), null, "what was missed is old news");
  assert.deepEqual(details("state").length, 2, "connecting");
  own.emit("page", page(1));
  assert.deepEqual(details("page"), [], "it follows now");
});

test("a resumed page has its own position again once it has applied a snapshot", async () => {
  const { peer, own, lifecycle } = await following();
  lifecycle.dispatchEvent(new Event("suspend"));
  lifecycle.dispatchEvent(new Event("resume"));
  await settle();
  assert.equal(own.position(), null);
  peer.post({ kind: "elected", snapshot: snapshot(6) });
  await settle();
  assert.deepEqual(own.position(), { since: 5, epoch: "e1" });
});

test("a page that wasn't started isn't resumed, nor one that was stopped while suspended", async () => {
  const { tabs } = await leading();
  const fresh = tabs.tab("fresh");
  fresh.lifecycle.dispatchEvent(new Event("suspend"));
  fresh.lifecycle.dispatchEvent(new Event("resume"));
  await settle();
  assert.deepEqual(fresh.events, []);
  fresh.stream.start();
  await settle();
  fresh.lifecycle.dispatchEvent(new Event("suspend"));
  fresh.stream.stop();
  const before = fresh.events.length;
  fresh.lifecycle.dispatchEvent(new Event("resume"));
  await settle();
  assert.equal(fresh.events.length, before);
});

test("the name is requested again at resume, and the request says so", async () => {
  const tabs = new FakeTabs();
  /** @type {boolean[]} */
  const requests = [];
  const { stream, lifecycle } = tabs.tab("ada's", { name: async (_signal, isBack) => (requests.push(isBack), NAME) });
  stream.start();
  stream.start();
  await settle();
  lifecycle.dispatchEvent(new Event("suspend"));
  lifecycle.dispatchEvent(new Event("resume"));
  await settle();
  assert.deepEqual(requests, [false, true]);
});

test("stopped while it waits for the name, or without a name, it doesn't join", async () => {
  const tabs = new FakeTabs();
  const stopped = tabs.tab("stopped");
  stopped.stream.start();
  stopped.stream.stop();
  const unnamed = tabs.tab("unnamed", { name: async () => null });
  unnamed.stream.start();
  await settle();
  assert.equal(tabs.locks.holder(NAME), undefined);
  assert.deepEqual([stopped.stream.role, unnamed.stream.role], ["follower", "follower"]);
});

test("without an answer to the request for the name it stops with the reason: 4500 for a missing login", async () => {
  for (const [status, code] of /** @type {const} */ ([[401, 4500], [400, 1000]])) {
    const error = new ApiError(status, "no", "No.");
    const { stream, lifecycle, events } = new FakeTabs().tab("ada's", { name: () => Promise.reject(error) });
    stream.start();
    await settle();
    assert.deepEqual(events.slice(1), [
      ["error", error],
      ["state", { state: "disconnected", code, reason: "No.", retryIn: null }],
    ]);
    assert.equal(lifecycle.isObserving, false);
  }
});

// Final states -------------------------------------------------------------------------------------------------

const ENDED = { state: "disconnected", code: 4503, reason: "signed out", retryIn: null };

test("when the leader's connection ends with a final code, every tab stops, and none takes over", async () => {
  const leader = await leading();
  leader.own.emit("state", ENDED);
  await settle();
  assert.deepEqual(leader.events.at(-1), ["state", ENDED]);
  assert.deepEqual([leader.locks.holder(NAME), leader.lifecycle.isObserving], [undefined, false]);

  const follower = await following();
  follower.peer.post({ kind: "state", change: ENDED });
  await settle();
  assert.deepEqual(follower.events, [["state", ENDED]]);
  assert.deepEqual([follower.peer.kinds("leaving").length, follower.lifecycle.isObserving], [1, false]);
  follower.peer.releaseLock();
  await settle();
  assert.equal(follower.locks.holder(NAME), undefined);
});

test("a follower that has nothing to show yet takes over and learns the reason from the server itself", async () => {
  const tabs = new FakeTabs();
  const peer = tabs.peer();
  peer.takeLock();
  const { stream, own, details } = tabs.tab("ada's");
  stream.start();
  await settle();
  peer.post({ kind: "elected", snapshot: null });
  peer.post({ kind: "state", change: ENDED });
  peer.releaseLock();
  await settle();
  assert.deepEqual([stream.role, own.calls], ["leader", ["start"]]);
  assert.deepEqual(details("state").map(({ state }) => state), ["connecting"]);
});

// Alone ----------------------------------------------------------------------------------------------------------

test("where locks are refused the tab is alone: its own stream, no messages to or from other tabs", async () => {
  const tabs = new FakeTabs();
  tabs.locks.refusal = new DOMException("Not in a sandbox.", "SecurityError");
  const peer = tabs.peer();
  const { stream, own, lifecycle, types, details } = tabs.tab("ada's");
  stream.start();
  await settle();
  assert.deepEqual([stream.role, own.calls], ["alone", ["start"]]);
  peer.received.length = 0;
  own.emit("message", { frame: live(6), showHere: true });
  own.emit("error", "no");
  peer.post({ kind: "elected", snapshot: snapshot(9) });
  peer.post({ kind: "frame", frame: live(9) });
  lifecycle.setVisibility(true, 9);
  stream.recover();
  stream.reconnect();
  await tabs.clock.advance(60_000);
  assert.deepEqual(peer.received, []);
  assert.deepEqual(types(), ["state", "role", "message", "error"]);
  assert.deepEqual(details("message"), [{ frame: live(6), showHere: true }]);
  assert.deepEqual(own.calls, ["start", "recover", "reconnect"]);
});
