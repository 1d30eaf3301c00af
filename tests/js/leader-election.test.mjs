import assert from "node:assert/strict";
import { test } from "node:test";

import { LeaderElection } from "../../static/client/tabs/leader-election.js";
import { FakeClock, settle } from "../../static/client/testing/fake-clock.js";
import { FakeLocks } from "../../static/client/testing/fake-locks.js";
import { Loop } from "./fake-tabs.mjs";

const NAME = "inbox of ada";

function setUp() {
  const clock = new FakeClock();
  const locks = new FakeLocks();
  /** @param {string} name */
  const candidate = (name) => {
    const loop = new Loop(name);
    const election = new LeaderElection({ locks: locks.forTab(loop), name: NAME, clock });
    /** @type {string[]} */
    const events = [];
    for (const type of ["elected", "deposed", "unavailable"]) election.addEventListener(type, () => events.push(type));
    return { election, events, loop };
  };
  return { clock, locks, candidate };
}

test("the first tab that campaigns is elected, the next one when the first resigns", async () => {
  const { candidate } = setUp();
  const [one, two] = [candidate("one"), candidate("two")];
  one.election.campaign();
  two.election.campaign();
  await settle();
  assert.deepEqual([one.events, two.events], [["elected"], []]);
  assert.deepEqual([await one.election.confirm(), await two.election.confirm()], [true, false]);
  one.election.resign();
  await settle();
  assert.deepEqual([one.events, two.events], [["elected"], ["elected"]]);
  assert.deepEqual([await one.election.confirm(), await two.election.confirm()], [false, true]);
});

test("the lock of a tab that crashed goes to the next in the queue", async () => {
  const { locks, candidate } = setUp();
  const [one, two] = [candidate("one"), candidate("two")];
  one.election.campaign();
  two.election.campaign();
  await settle();
  locks.removeTab(one.loop);
  await settle();
  assert.deepEqual(two.events, ["elected"]);
});

test("a stolen lock deposes its holder and elects the thief, once each", async () => {
  const { candidate } = setUp();
  const [one, two] = [candidate("one"), candidate("two")];
  one.election.campaign();
  two.election.campaign();
  await settle();
  two.election.steal();
  await settle();
  assert.deepEqual([one.events, two.events], [["elected", "deposed"], ["elected"]]);
  const three = candidate("three");
  three.election.steal();
  await settle();
  three.election.resign();
  await settle();
  assert.deepEqual(two.events, ["elected", "deposed"], "stealing has given up its place in the queue");
});

test("a tab whose lock was stolen may campaign again", async () => {
  const { candidate } = setUp();
  const [one, two] = [candidate("one"), candidate("two")];
  one.election.campaign();
  await settle();
  two.election.steal();
  await settle();
  one.election.campaign();
  two.election.resign();
  await settle();
  assert.deepEqual(one.events, ["elected", "deposed", "elected"]);
  assert.equal(await one.election.confirm(), true);
});

test("confirm detects a theft of which the tab isn't notified yet", async () => {
  const { candidate } = setUp();
  const [one, two] = [candidate("one"), candidate("two")];
  one.election.campaign();
  await settle();
  one.loop.hold("locks");
  two.election.steal();
  await settle();
  const answer = one.election.confirm();
  assert.deepEqual(one.events, ["elected"], "not notified yet");
  one.loop.release("locks");
  assert.equal(await answer, false);
});

test("an answer that took over a second may be from before a freeze: the browser is queried again", async () => {
  const { clock, locks } = setUp();
  const manager = locks.forTab(new Loop("one"));
  let queries = 0;
  let isSlow = false;
  const slow = {
    ...manager,
    query: async () => {
      const answer = await manager.query();
      if (isSlow && ++queries === 1) await clock.advance(1_500);
      return answer;
    },
  };
  const election = new LeaderElection({ locks: slow, name: NAME, clock });
  election.campaign();
  await settle();
  isSlow = true;
  assert.equal(await election.confirm(), true);
  assert.equal(queries, 2);
});

test("resigning leaves the queue as well, without an event", async () => {
  const { candidate } = setUp();
  const [one, two, three] = [candidate("one"), candidate("two"), candidate("three")];
  for (const { election } of [one, two, three]) election.campaign();
  await settle();
  two.election.resign();
  one.election.resign();
  await settle();
  assert.deepEqual([one.events, two.events, three.events], [["elected"], [], ["elected"]]);
});

test("a tab that resigns as soon as it holds the lock isn't elected", async () => {
  const { locks, candidate } = setUp();
  const { election, events } = candidate("one");
  election.campaign();
  election.resign(); // before it knows its client id
  await settle();
  assert.deepEqual([events, locks.holder(NAME)], [[], undefined]);
});

test("where locks are refused, `unavailable` is emitted", async () => {
  const { locks, candidate } = setUp();
  locks.refusal = new DOMException("Not in a sandbox.", "SecurityError");
  const { election, events } = candidate("one");
  election.campaign();
  await settle();
  assert.deepEqual(events, ["unavailable"]);
  assert.equal(await election.confirm(), false);
});

test("confirm is false when the query fails", async () => {
  const { clock, locks } = setUp();
  let isBroken = false;
  const manager = locks.forTab(new Loop("one"));
  const broken = { ...manager, query: () => (isBroken ? Promise.reject(new Error("no")) : manager.query()) };
  const election = new LeaderElection({ locks: broken, name: NAME, clock });
  election.campaign();
  await settle();
  isBroken = true;
  assert.equal(await election.confirm(), false);
});
