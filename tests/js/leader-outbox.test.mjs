import assert from "node:assert/strict";
import { test } from "node:test";

import { LeaderOutbox } from "../../static/client/tabs/leader-outbox.js";
import { settle } from "../../static/client/testing/fake-clock.js";
import { page } from "./fake-tabs.mjs";

function setUp() {
  /** @type {((isLeader: boolean) => void)[]} */
  const confirmations = [];
  /** @type {any[]} */
  const sent = [];
  let lost = 0;
  const outbox = new LeaderOutbox({
    confirm: () => new Promise((resolve) => confirmations.push(resolve)),
    broadcast: (message) => sent.push(message),
    onLeadershipLost: () => {
      lost += 1;
      outbox.clear();
    },
  });
  /** Answers the oldest confirmation. @param {boolean} isLeader */
  const answer = async (isLeader) => {
    confirmations.shift()?.(isLeader);
    await settle();
  };
  return { outbox, confirmations, sent, answer, lost: () => lost };
}

/** @param {string} to @returns {Doorbell.LeaderMessage} */
const pong = (to) => ({ kind: "pong", to });

test("nothing is broadcast before the leadership is confirmed; then the whole queue is, in order, after one confirmation", async () => {
  const { outbox, confirmations, sent, answer } = setUp();
  for (const to of ["a", "b", "c"]) outbox.enqueue(pong(to));
  await settle();
  assert.deepEqual([confirmations.length, sent.length], [1, 0]);
  await answer(true);
  assert.deepEqual(sent, ["a", "b", "c"].map(pong));
  outbox.enqueue(pong("d"));
  await settle();
  assert.deepEqual([confirmations.length, sent.length], [1, 3], "each flush is confirmed");
  await answer(true);
  assert.deepEqual(sent.length, 4);
});

test("a message that is enqueued by a broadcast is broadcast after it", async () => {
  const { sent, answer, ...rest } = setUp();
  const outbox = new LeaderOutbox({
    confirm: async () => true,
    broadcast: (message) => {
      sent.push(message);
      if (sent.length === 1) outbox.enqueue(pong("second"));
    },
    onLeadershipLost: () => assert.fail(),
  });
  await outbox.enqueue(pong("first"));
  await settle();
  assert.deepEqual(sent, ["first", "second"].map(pong));
  assert.equal(rest.lost(), 0);
});

test("when the leadership is lost the queue is discarded, also for a later term", async () => {
  const { outbox, sent, answer, lost } = setUp();
  outbox.enqueue(pong("a"));
  outbox.enqueue(pong("b"));
  await answer(false);
  assert.deepEqual([sent, lost()], [[], 1]);
  outbox.enqueue(pong("c"));
  await answer(true);
  assert.deepEqual(sent, [pong("c")]);
});

test("a confirmation that belongs to an earlier term is ignored", async () => {
  for (const isLeader of [true, false]) {
    const { outbox, confirmations, sent, answer, lost } = setUp();
    outbox.enqueue(pong("old"));
    outbox.clear();
    outbox.enqueue(pong("new"));
    await answer(isLeader);
    assert.deepEqual([sent, lost(), confirmations.length], [[], 0, 1], "confirmed again");
    await answer(true);
    assert.deepEqual(sent, [pong("new")]);
  }
});

test("clearing during a flush stops the flush", async () => {
  /** @type {any[]} */
  const sent = [];
  const outbox = new LeaderOutbox({
    confirm: async () => true,
    broadcast: (message) => {
      sent.push(message);
      outbox.clear();
    },
    onLeadershipLost: () => assert.fail(),
  });
  outbox.enqueue(pong("a"));
  outbox.enqueue(pong("b"));
  await settle();
  assert.deepEqual(sent, [pong("a")]);
});

test("the position is that of the last queued page, null without one", async () => {
  const { outbox, answer } = setUp();
  assert.equal(outbox.position, null);
  outbox.enqueue(pong("a"));
  assert.equal(outbox.position, null);
  outbox.enqueue({ kind: "page", page: page(3) });
  outbox.enqueue({ kind: "page", page: page(7, "e2") });
  outbox.enqueue(pong("b"));
  assert.deepEqual(outbox.position, { since: 7, epoch: "e2" });
  await answer(true);
  assert.equal(outbox.position, null);
});
