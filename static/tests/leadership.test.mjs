import assert from "node:assert/strict";
import { test } from "node:test";

import { Leadership } from "../client/leadership.js";
import { FakeClock, settle } from "../client/testing/fake-clock.js";
import { FakeLocks } from "../client/testing/fake-locks.js";
import { Loop } from "./sharing.mjs";

const NAME = "inbox of ada";

function setUp() {
  const clock = new FakeClock();
  const locks = new FakeLocks();
  /** @param {string} name */
  const candidate = (name) => {
    const loop = new Loop(name);
    const leadership = new Leadership({ locks: locks.seenFrom(loop), name: NAME, clock });
    /** @type {string[]} */
    const events = [];
    for (const type of ["elected", "deposed", "unavailable"]) leadership.addEventListener(type, () => events.push(type));
    return { leadership, events, loop };
  };
  return { clock, locks, candidate };
}

test("the first that campaigns is elected, the next one when the first resigns", async () => {
  const { candidate } = setUp();
  const [one, two] = [candidate("one"), candidate("two")];
  one.leadership.campaign();
  two.leadership.campaign();
  await settle();
  assert.deepEqual([one.events, two.events], [["elected"], []]);
  assert.deepEqual([await one.leadership.confirm(), await two.leadership.confirm()], [true, false]);
  one.leadership.resign();
  await settle();
  assert.deepEqual([one.events, two.events], [["elected"], ["elected"]]);
  assert.deepEqual([await one.leadership.confirm(), await two.leadership.confirm()], [false, true]);
});

test("the lock of a tab that crashed goes to the next in the queue", async () => {
  const { locks, candidate } = setUp();
  const [one, two] = [candidate("one"), candidate("two")];
  one.leadership.campaign();
  two.leadership.campaign();
  await settle();
  locks.drop(one.loop);
  await settle();
  assert.deepEqual(two.events, ["elected"]);
});

test("a stolen lock deposes its holder and elects the thief, once each", async () => {
  const { candidate } = setUp();
  const [one, two] = [candidate("one"), candidate("two")];
  one.leadership.campaign();
  two.leadership.campaign();
  await settle();
  two.leadership.steal();
  await settle();
  assert.deepEqual([one.events, two.events], [["elected", "deposed"], ["elected"]]);
  const three = candidate("three");
  three.leadership.steal();
  await settle();
  three.leadership.resign();
  await settle();
  assert.deepEqual(two.events, ["elected", "deposed"], "its place in the queue was given up for the theft");
});

test("a tab whose lock was stolen may campaign again", async () => {
  const { candidate } = setUp();
  const [one, two] = [candidate("one"), candidate("two")];
  one.leadership.campaign();
  await settle();
  two.leadership.steal();
  await settle();
  one.leadership.campaign();
  two.leadership.resign();
  await settle();
  assert.deepEqual(one.events, ["elected", "deposed", "elected"]);
  assert.equal(await one.leadership.confirm(), true);
});

test("a theft that wasn't reported yet is found by asking the browser", async () => {
  const { candidate } = setUp();
  const [one, two] = [candidate("one"), candidate("two")];
  one.leadership.campaign();
  await settle();
  one.loop.hold("locks");
  two.leadership.steal();
  await settle();
  const answer = one.leadership.confirm();
  assert.deepEqual(one.events, ["elected"], "not reported");
  one.loop.release("locks");
  assert.equal(await answer, false);
});

test("an answer that took over a second may be from before a freeze: the browser is asked again", async () => {
  const { clock, locks } = setUp();
  const manager = locks.seenFrom(new Loop("one"));
  let asked = 0;
  let isSlow = false;
  const slow = {
    ...manager,
    query: async () => {
      const answer = await manager.query();
      if (isSlow && ++asked === 1) await clock.advance(1_500);
      return answer;
    },
  };
  const leadership = new Leadership({ locks: slow, name: NAME, clock });
  leadership.campaign();
  await settle();
  isSlow = true;
  assert.equal(await leadership.confirm(), true);
  assert.equal(asked, 2);
});

test("who resigns leaves the queue as well, and is told of nothing", async () => {
  const { candidate } = setUp();
  const [one, two, three] = [candidate("one"), candidate("two"), candidate("three")];
  for (const { leadership } of [one, two, three]) leadership.campaign();
  await settle();
  two.leadership.resign();
  one.leadership.resign();
  await settle();
  assert.deepEqual([one.events, two.events, three.events], [["elected"], [], ["elected"]]);
});

test("one that resigns as soon as it has the lock is not elected", async () => {
  const { locks, candidate } = setUp();
  const { leadership, events } = candidate("one");
  leadership.campaign();
  leadership.resign(); // before the browser has said what it calls this tab
  await settle();
  assert.deepEqual([events, locks.holder(NAME)], [[], undefined]);
});

test("where locks are refused it is unavailable", async () => {
  const { locks, candidate } = setUp();
  locks.refusal = new DOMException("Not in a sandbox.", "SecurityError");
  const { leadership, events } = candidate("one");
  leadership.campaign();
  await settle();
  assert.deepEqual(events, ["unavailable"]);
  assert.equal(await leadership.confirm(), false);
});

test("a browser that can't list its locks confirms nobody", async () => {
  const { clock, locks } = setUp();
  let isBroken = false;
  const manager = locks.seenFrom(new Loop("one"));
  const broken = { ...manager, query: () => (isBroken ? Promise.reject(new Error("no")) : manager.query()) };
  const leadership = new Leadership({ locks: broken, name: NAME, clock });
  leadership.campaign();
  await settle();
  isBroken = true;
  assert.equal(await leadership.confirm(), false);
});
