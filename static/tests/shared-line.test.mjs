import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../client/http.js";
import { settle } from "../client/testing/fake-clock.js";
import { NAME, Sharing, live, page, snapshot, synced } from "./sharing.mjs";

/** A tab that leads, with a peer that listens. */
async function leading() {
  const sharing = new Sharing();
  const peer = sharing.peer();
  const tab = sharing.tab("ada's");
  tab.line.start();
  await settle();
  assert.equal(tab.line.role, "leader");
  return { ...sharing, sharing, peer, ...tab };
}

/** A tab that follows a peer, and has taken the peer's snapshot at revision 5. */
async function following() {
  const sharing = new Sharing();
  const peer = sharing.peer();
  peer.takeLock();
  const tab = sharing.tab("ada's");
  tab.line.start();
  await settle();
  peer.post({ kind: "lead", snapshot: snapshot(5) });
  await settle();
  tab.state.position = { since: 5, epoch: "e1" };
  assert.deepEqual([tab.line.role, tab.details("snapshot").length], ["follower", 1]);
  const self = peer.kinds("ask")[0].from;
  peer.received.length = tab.events.length = 0;
  return { ...sharing, sharing, peer, self, ...tab };
}

// Leading --------------------------------------------------------------------------------------------------------

test("a tab alone leads: it announces so, and starts its line", async () => {
  const { peer, own, types } = await leading();
  assert.deepEqual(peer.kinds("lead").length, 1);
  assert.deepEqual(own.calls, ["start"]);
  assert.deepEqual(types(), ["state", "role"]);
});

test("a new leader handles all that former leaders sent before it leads and connects", async () => {
  const { peer, loop, own, line, events, types } = await following();
  loop.hold("channel");
  peer.post({ kind: "page", page: page(8) });
  peer.post({ kind: "message", frame: live(9), showIn: "nobody" });
  peer.releaseLock();
  await settle();
  assert.deepEqual([line.role, own.calls, events], ["follower", [], []], "the lock alone is not enough");
  loop.release("channel");
  await settle();
  assert.deepEqual(types(), ["page", "message", "role"]);
  assert.deepEqual([line.role, own.calls], ["leader", ["start"]]);
});

test("the marker of a reign that is over elects nobody", async () => {
  const { sharing, peer, loop, own, line } = await following();
  loop.hold("channel");
  peer.releaseLock();
  await settle();
  sharing.peer("thief").takeLock({ steal: true });
  await settle();
  loop.release("channel");
  await settle();
  assert.equal(line.role, "follower");
  assert.ok(!own.calls.includes("start"));
});

test("what the line brings is sent to the other tabs and emitted here, in the same order", async () => {
  const { peer, own, types } = await leading();
  own.emit("page", page(5));
  own.emit("message", { frame: synced(5), isOurs: true });
  own.emit("frame", { text: "…" });
  own.emit("state", { state: "connected" });
  await settle();
  assert.deepEqual(types().slice(2), ["page", "message", "frame", "state"]);
  const told = peer.received.map(({ kind }) => kind);
  assert.deepEqual(told.filter((kind) => ["page", "message", "frame", "state"].includes(kind)), ["page", "message", "frame", "state"]);
});

test("an error of the line is for this tab alone", async () => {
  const { peer, own, details } = await leading();
  const before = peer.received.length;
  own.emit("error", "no");
  await settle();
  assert.deepEqual([details("error"), peer.received.length], [["no"], before]);
});

test("a leader that lost the lock without noticing sends and shows nothing, and follows", async () => {
  const { sharing, peer, loop, own, line, details } = await leading();
  loop.hold("locks"); // a frozen tab: the theft is not reported to it yet
  sharing.peer("thief").takeLock({ steal: true });
  own.emit("message", { frame: live(6), isOurs: true });
  await settle();
  loop.release("locks");
  await settle();
  assert.deepEqual(details("message"), []);
  assert.deepEqual(peer.kinds("message"), []);
  assert.deepEqual([line.role, own.calls], ["follower", ["start", "stop"]]);
  assert.equal(peer.kinds("ask").at(-1).what, "snapshot");
});

test("a leader whose lock is stolen follows at once, and queues for the lock again", async () => {
  const { sharing, own, line, details } = await leading();
  const thief = sharing.peer("thief");
  thief.takeLock({ steal: true });
  await settle();
  assert.deepEqual([line.role, own.calls, details("role")], ["follower", ["start", "stop"], ["leader", "follower"]]);
  own.emit("state", { state: "disconnected" });
  own.emit("error", "no");
  await settle();
  assert.deepEqual([details("state").length, details("error")], [1, []], "the end of its own line is nobody's business");
  thief.releaseLock();
  await settle();
  assert.equal(line.role, "leader");
});

test("of two that say they lead, the one without the lock steps down", async () => {
  const { sharing, peer, loop, line } = await leading();
  peer.post({ kind: "lead", snapshot: null });
  await settle();
  assert.equal(line.role, "leader", "it has the lock: the other is wrong");
  loop.hold("locks");
  sharing.peer("thief").takeLock({ steal: true });
  loop.drop("locks"); // the theft is never reported to it
  await settle();
  assert.equal(line.role, "leader");
  peer.post({ kind: "alive", to: "somebody" });
  await settle();
  assert.equal(line.role, "follower");
});

test("the line of a leader continues where the inbox will stand once all pages have been sent", async () => {
  const { own, loop, state } = await leading();
  assert.equal(own.position(), null);
  state.position = { since: 3, epoch: "e1" };
  assert.deepEqual(own.position(), { since: 3, epoch: "e1" });
  loop.hold("locks");
  own.emit("page", page(7, "e2"));
  assert.deepEqual(own.position(), { since: 7, epoch: "e2" });
  state.position = { since: 7, epoch: "e2" };
  loop.release("locks");
  await settle();
  assert.deepEqual(own.position(), { since: 7, epoch: "e2" });
});

// Which tab shows a toast ----------------------------------------------------------------------------------------

const VISIBLE = { isVisible: true, focusedAt: 100 };

test("the visible tab that was focused last shows what is new; with none visible the leader does", async () => {
  const { clock, peer, own, viewer, details } = await leading();
  const shownIn = async () => {
    own.emit("message", { frame: live(6), isOurs: true });
    await settle();
    const { showIn } = peer.kinds("message").at(-1);
    return { isOurs: details("message").at(-1).isOurs, isPeers: showIn === peer.name };
  };
  viewer.look(true, 50);
  assert.deepEqual(await shownIn(), { isOurs: true, isPeers: false });
  peer.post({ kind: "look", look: VISIBLE });
  await settle();
  assert.deepEqual(await shownIn(), { isOurs: false, isPeers: true });
  viewer.look(true, 200);
  assert.deepEqual(await shownIn(), { isOurs: true, isPeers: false }, "the leader was focused later");
  viewer.look(false, 200);
  assert.deepEqual(await shownIn(), { isOurs: false, isPeers: true }, "hidden leader, visible follower");
  peer.post({ kind: "look", look: { ...VISIBLE, isVisible: false } });
  await settle();
  assert.deepEqual(await shownIn(), { isOurs: true, isPeers: false }, "none visible");
  peer.post({ kind: "ask", what: "sign of life", look: VISIBLE });
  await settle();
  assert.deepEqual(await shownIn(), { isOurs: false, isPeers: true }, "a question says it, too");
  await clock.advance(3_001);
  assert.deepEqual(await shownIn(), { isOurs: true, isPeers: false }, "silent for three seconds: perhaps hung");
  peer.post({ kind: "look", look: VISIBLE });
  peer.post({ kind: "gone" });
  await settle();
  assert.deepEqual(await shownIn(), { isOurs: true, isPeers: false }, "it has left");
});

test("a tab says that it is visible only once it has something to show", async () => {
  const sharing = new Sharing();
  const peer = sharing.peer();
  peer.takeLock();
  const { line, viewer } = sharing.tab("ada's");
  line.start();
  await settle();
  viewer.look(true, 10);
  await settle();
  assert.deepEqual(peer.kinds("look").at(-1).look, { isVisible: false, focusedAt: 10 });
  peer.post({ kind: "lead", snapshot: snapshot(5) });
  await settle();
  assert.deepEqual(peer.kinds("look").at(-1).look, { isVisible: true, focusedAt: 10 });
});

test("a follower shows only what the leader chose it for", async () => {
  const { peer, self, details } = await following();
  for (const showIn of ["another", self, undefined]) peer.post({ kind: "message", frame: live(6), showIn });
  await settle();
  assert.deepEqual(details("message").map(({ isOurs }) => isOurs), [false, true, false]);
});

// Following ------------------------------------------------------------------------------------------------------

test("a tab asks for the leader's state when it joins, and takes the answer that is for it", async () => {
  const sharing = new Sharing();
  const peer = sharing.peer();
  peer.takeLock();
  const { line, details } = sharing.tab("ada's");
  line.start();
  await settle();
  const [question] = peer.kinds("ask");
  assert.equal(question.what, "snapshot");
  peer.post({ kind: "snapshot", to: question.from, snapshot: null });
  await settle();
  assert.deepEqual(details("snapshot"), [], "a leader that has nothing itself yet");
  peer.post({ kind: "snapshot", to: question.from, snapshot: snapshot(5) });
  await settle();
  assert.deepEqual(details("snapshot"), [snapshot(5)]);
});

test("a snapshot for another tab is taken by one that has none yet, and by no other", async () => {
  const { peer, line, details } = await following();
  peer.post({ kind: "snapshot", to: "another", snapshot: snapshot(6) });
  await settle();
  assert.deepEqual(details("snapshot"), []);
  line.recover();
  peer.post({ kind: "snapshot", to: "another", snapshot: snapshot(7) });
  await settle();
  assert.deepEqual(details("snapshot"), [snapshot(7)]);
});

test("a new leader's first snapshot is taken by every tab, also when the same tab leads anew", async () => {
  const { sharing, details, peer, self } = await following();
  peer.post({ kind: "lead", snapshot: snapshot(6) });
  peer.post({ kind: "snapshot", to: self, snapshot: snapshot(7) });
  sharing.peer("next").post({ kind: "lead", snapshot: snapshot(8) });
  await settle();
  assert.deepEqual(details("snapshot"), [6, 7, 8].map((revision) => snapshot(revision)));
});

test("without the leader's state only live revisions are passed on: they show by their number what is missing", async () => {
  const sharing = new Sharing();
  const peer = sharing.peer();
  peer.takeLock();
  const { line, details } = sharing.tab("ada's");
  line.start();
  await settle();
  peer.post({ kind: "lead", snapshot: null });
  for (const frame of [synced(4), { ...live(5), replayed: true }, live(6)]) peer.post({ kind: "message", frame });
  await settle();
  assert.deepEqual(details("message").map(({ frame }) => frame), [live(6)]);
});

test("of a tab that doesn't lead, only live revisions count: they may be the last of a former leader", async () => {
  const { sharing, types, details } = await following();
  const former = sharing.peer("former");
  former.post({ kind: "message", frame: live(6) });
  former.post({ kind: "message", frame: synced(6) });
  former.post({ kind: "page", page: page(9) });
  former.post({ kind: "state", change: { state: "disconnected" } });
  await settle();
  assert.deepEqual(types(), ["message"]);
  assert.deepEqual(details("message")[0].frame, live(6));
});

test("a leader that is found by its answer is asked for its state", async () => {
  const { sharing, types } = await following();
  const other = sharing.peer("other");
  other.post({ kind: "alive", to: "somebody" });
  other.post({ kind: "message", frame: synced(9) });
  await settle();
  assert.deepEqual(types(), [], "not in step with it");
  assert.deepEqual(other.kinds("ask").map(({ what }) => what), ["snapshot"]);
});

test("a visible tab steals the lock after three unanswered questions, a hidden one after six", async () => {
  for (const [isVisible, patience] of /** @type {const} */ ([[true, 3], [false, 6]])) {
    const { locks, clock, peer, viewer } = await following();
    viewer.look(isVisible, 1);
    await clock.advance(patience * 1_000 + 999);
    assert.equal(peer.kinds("ask").filter(({ what }) => what === "sign of life").length, patience);
    assert.equal(locks.holder(NAME), peer.name);
    await clock.advance(1);
    assert.equal(locks.holder(NAME), "ada's");
  }
});

test("whatever the leader sends is an answer; what others send is none", async () => {
  const { locks, clock, peer, sharing } = await following();
  for (let i = 0; i < 10; i++) {
    await clock.advance(2_000);
    peer.post({ kind: "frame", crossing: {} });
  }
  await settle();
  assert.equal(locks.holder(NAME), peer.name);
  const other = sharing.peer("other");
  for (let i = 0; i < 5; i++) {
    await clock.advance(1_000);
    other.post({ kind: "frame", crossing: {} });
  }
  assert.equal(locks.holder(NAME), "ada's");
});

test("a leader answers each question, and asks none", async () => {
  const { clock, peer } = await leading();
  peer.received.length = 0;
  await clock.advance(5_000);
  assert.deepEqual(peer.kinds("ask"), []);
  peer.post({ kind: "ask", what: "sign of life", look: VISIBLE });
  peer.post({ kind: "ask", what: "snapshot", look: VISIBLE });
  await settle();
  assert.deepEqual(peer.received.map(({ kind, to }) => [kind, to]), [["alive", peer.name], ["snapshot", peer.name]]);
});

// Gaps and wishes ------------------------------------------------------------------------------------------------

test("a follower that found a gap asks for the whole, and passes on no catch-up until it has it", async () => {
  const { peer, own, line, details } = await following();
  line.recover();
  peer.post({ kind: "message", frame: synced(7) });
  await settle();
  assert.deepEqual([details("message"), own.calls], [[], []]);
  const [question] = peer.kinds("ask");
  assert.equal(question.what, "snapshot");
  peer.post({ kind: "snapshot", to: question.from, snapshot: snapshot(7) });
  peer.post({ kind: "message", frame: synced(7) });
  await settle();
  assert.deepEqual([details("snapshot").length, details("message").length], [1, 1]);
});

test("a leader that found a gap leaves it to its line", async () => {
  const { peer, own, line } = await leading();
  const before = peer.received.length;
  line.recover();
  await settle();
  assert.deepEqual([own.calls, peer.received.length], [["start", "recover"], before]);
});

test("a follower's wish for a new connection reaches the leader's line", async () => {
  const follower = await following();
  follower.line.reconnect();
  await settle();
  assert.deepEqual([follower.peer.kinds("reconnect").length, follower.own.calls], [1, []]);

  const leader = await leading();
  leader.peer.post({ kind: "reconnect" });
  await settle();
  leader.line.reconnect();
  assert.deepEqual(leader.own.calls, ["start", "reconnect", "reconnect"]);

  leader.line.stop();
  leader.line.reconnect();
  await settle();
  assert.deepEqual(leader.own.calls.slice(-2), ["stop", "start"], "a stopped one starts again");
});

// Coming and going -----------------------------------------------------------------------------------------------

test("a leader that stops says so, hands the lock on, and hears nothing more", async () => {
  const { sharing, peer, own, line, viewer, events } = await leading();
  const next = sharing.tab("next");
  next.line.start();
  line.stop(4500, "over");
  await settle();
  assert.deepEqual([peer.kinds("gone").length, next.line.role, own.calls, viewer.isWatching], [1, "leader", ["start", "stop"], false]);
  assert.deepEqual(events.at(-1), ["state", { state: "disconnected", code: 4500, reason: "over", retryIn: null }]);
  const before = events.length;
  peer.post({ kind: "lead", snapshot: snapshot(9) });
  line.stop();
  await settle();
  assert.equal(events.length, before, "neither heard nor stopped twice");
});

test("a page that is closed or frozen hands over at once; back again it begins with the list", async () => {
  const { sharing, own, line, viewer, state, details } = await leading();
  state.position = { since: 5, epoch: "e1" };
  const next = sharing.tab("next");
  next.line.start();
  await settle();
  viewer.dispatchEvent(new Event("leave"));
  viewer.dispatchEvent(new Event("leave"));
  await settle();
  assert.deepEqual([next.line.role, line.role, own.calls], ["leader", "follower", ["start", "stop"]]);
  assert.equal(details("state").length, 1, "the page is not there to be shown a state");
  viewer.dispatchEvent(new Event("return"));
  await settle();
  assert.equal(own.position(), null, "what was missed is old news");
  assert.deepEqual(details("state").length, 2, "connecting");
  own.emit("page", page(1));
  assert.deepEqual(details("page"), [], "it follows now");
});

test("a page that comes back is as good as new once it has the whole", async () => {
  const { peer, own, viewer } = await following();
  viewer.dispatchEvent(new Event("leave"));
  viewer.dispatchEvent(new Event("return"));
  await settle();
  assert.equal(own.position(), null);
  peer.post({ kind: "lead", snapshot: snapshot(6) });
  await settle();
  assert.deepEqual(own.position(), { since: 5, epoch: "e1" });
});

test("a page that never went doesn't come back, and one that was stopped meanwhile stays so", async () => {
  const { sharing } = await leading();
  const fresh = sharing.tab("fresh");
  fresh.viewer.dispatchEvent(new Event("leave"));
  fresh.viewer.dispatchEvent(new Event("return"));
  await settle();
  assert.deepEqual(fresh.events, []);
  fresh.line.start();
  await settle();
  fresh.viewer.dispatchEvent(new Event("leave"));
  fresh.line.stop();
  const before = fresh.events.length;
  fresh.viewer.dispatchEvent(new Event("return"));
  await settle();
  assert.equal(fresh.events.length, before);
});

test("who is back says so when it asks who is there", async () => {
  const sharing = new Sharing();
  /** @type {boolean[]} */
  const asked = [];
  const { line, viewer } = sharing.tab("ada's", { name: async (_signal, isBack) => (asked.push(isBack), NAME) });
  line.start();
  line.start();
  await settle();
  viewer.dispatchEvent(new Event("leave"));
  viewer.dispatchEvent(new Event("return"));
  await settle();
  assert.deepEqual(asked, [false, true]);
});

test("stopped while it asks who is there, or not wanted there, it doesn't join", async () => {
  const sharing = new Sharing();
  const stopped = sharing.tab("stopped");
  stopped.line.start();
  stopped.line.stop();
  const unwanted = sharing.tab("unwanted", { name: async () => null });
  unwanted.line.start();
  await settle();
  assert.equal(sharing.locks.holder(NAME), undefined);
  assert.deepEqual([stopped.line.role, unwanted.line.role], ["follower", "follower"]);
});

test("refused when it asks who is there, it says why and stops: 4500 for a login that is missing", async () => {
  for (const [status, code] of /** @type {const} */ ([[401, 4500], [400, 1000]])) {
    const error = new ApiError(status, "no", "No.");
    const { line, viewer, events } = new Sharing().tab("ada's", { name: () => Promise.reject(error) });
    line.start();
    await settle();
    assert.deepEqual(events.slice(1), [
      ["error", error],
      ["state", { state: "disconnected", code, reason: "No.", retryIn: null }],
    ]);
    assert.equal(viewer.isWatching, false);
  }
});

// Ended for good -------------------------------------------------------------------------------------------------

const ENDED = { state: "disconnected", code: 4503, reason: "signed out", retryIn: null };

test("when the leader's connection ends for good, every tab ends, and hands nothing on", async () => {
  const leader = await leading();
  leader.own.emit("state", ENDED);
  await settle();
  assert.deepEqual(leader.events.at(-1), ["state", ENDED]);
  assert.deepEqual([leader.locks.holder(NAME), leader.viewer.isWatching], [undefined, false]);

  const follower = await following();
  follower.peer.post({ kind: "state", change: ENDED });
  await settle();
  assert.deepEqual(follower.events, [["state", ENDED]]);
  assert.deepEqual([follower.peer.kinds("gone").length, follower.viewer.isWatching], [1, false]);
  follower.peer.releaseLock();
  await settle();
  assert.equal(follower.locks.holder(NAME), undefined);
});

test("a follower that has nothing to show yet finds out for itself", async () => {
  const sharing = new Sharing();
  const peer = sharing.peer();
  peer.takeLock();
  const { line, own, details } = sharing.tab("ada's");
  line.start();
  await settle();
  peer.post({ kind: "lead", snapshot: null });
  peer.post({ kind: "state", change: ENDED });
  peer.releaseLock();
  await settle();
  assert.deepEqual([line.role, own.calls], ["leader", ["start"]]);
  assert.deepEqual(details("state").map(({ state }) => state), ["connecting"]);
});

// Alone ----------------------------------------------------------------------------------------------------------

test("where locks are refused the tab is alone: its own line, nothing to or from other tabs", async () => {
  const sharing = new Sharing();
  sharing.locks.refusal = new DOMException("Not in a sandbox.", "SecurityError");
  const peer = sharing.peer();
  const { line, own, viewer, types, details } = sharing.tab("ada's");
  line.start();
  await settle();
  assert.deepEqual([line.role, own.calls], ["alone", ["start"]]);
  peer.received.length = 0;
  own.emit("message", { frame: live(6), isOurs: true });
  own.emit("error", "no");
  peer.post({ kind: "lead", snapshot: snapshot(9) });
  peer.post({ kind: "message", frame: live(9) });
  viewer.look(true, 9);
  line.recover();
  line.reconnect();
  await sharing.clock.advance(60_000);
  assert.deepEqual(peer.received, []);
  assert.deepEqual(types(), ["state", "role", "message", "error"]);
  assert.deepEqual(details("message"), [{ frame: live(6), isOurs: true }]);
  assert.deepEqual(own.calls, ["start", "recover", "reconnect"]);
});
