import assert from "node:assert/strict";
import { test } from "node:test";

import { Audit, compare } from "../../static/demo/audit.js";
import { settle } from "../../static/client/testing/fake-clock.js";

/**
 * @param {number} id
 * @param {object} [more]
 * @returns {any}
 */
const row = (id, more = {}) => ({ id, title: `Row ${id}`, is_read: false, actor: { id: 1, username: "ada" }, ...more });
/**
 * @param {number[]} ids
 * @param {number | null} [next]
 */
const page = (ids, next = null) => ({ items: ids.map((id) => row(id)), next, epoch: "e", revision: 9, unread_count: 0 });
const correct = (/** @type {number} */ rows) => ({ lost: 0, doubled: 0, disordered: 0, differing: 0, rows });

test("a state equal to the fresh read has no violation", () => {
  assert.deepEqual(compare([3, 2, 1].map((id) => row(id)), null, page([3, 2, 1])), correct(3));
  assert.deepEqual(compare([], null, page([])), correct(0));
});

test("rows outside the window of either aren't compared", () => {
  assert.deepEqual(compare([5, 4, 3, 2, 1].map((id) => row(id)), null, page([5, 4], 4)), correct(2));
  assert.deepEqual(compare([5, 4].map((id) => row(id)), 4, page([5, 4, 3, 2, 1])), correct(2));
});

test("each promise can be broken", () => {
  const items = [3, 2, 1].map((id) => row(id));
  assert.equal(compare(items.slice(1), null, page([3, 2, 1])).lost, 1);
  assert.equal(compare(items, null, page([3, 1])).differing, 1, "a row that the server has removed");
  assert.equal(compare([row(3, { is_read: true }), ...items.slice(1)], null, page([3, 2, 1])).differing, 1);
  assert.equal(compare([row(3, { actor: null }), ...items.slice(1)], null, page([3, 2, 1])).differing, 1);
  assert.equal(compare([row(3), row(3), ...items.slice(1)], null, page([3, 2, 1])).doubled, 1);
  assert.equal(compare([...items].reverse(), null, page([3, 2, 1])).disordered, 2);
});

// The checks over time ------------------------------------------------------------------------------------------

/** @param {import("node:test").TestContext} t */
function setUp(t) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const server = { page: page([2, 1]), isDown: false, requests: 0 };
  const client = /** @type {any} */ (Object.assign(new EventTarget(), {
    state: "connected",
    inbox: { items: [row(2), row(1)], next: null, epoch: "e", revision: 9 },
  }));
  const http = /** @type {any} */ ({
    get: async () => {
      server.requests += 1;
      if (server.isDown) throw new Error("unreachable");
      return server.page;
    },
  });
  const audit = new Audit(client, http, () => 0);
  const change = () => client.dispatchEvent(new Event("change"));
  /** @param {string} state */
  const setState = (state) => {
    client.state = state;
    client.dispatchEvent(new Event("state"));
  };
  /** @param {number} ms */
  const tick = async (ms) => {
    t.mock.timers.tick(ms);
    await settle();
  };
  return { server, client, audit, change, setState, tick };
}

test("it checks once nothing has changed for a quarter of a second", async (t) => {
  const { server, audit, change, tick } = setUp(t);
  change();
  await tick(200);
  change();
  await tick(200);
  assert.deepEqual([server.requests, audit.verdict], [0, "checking"]);
  await tick(50);
  assert.deepEqual([server.requests, audit.verdict, audit.checks], [1, "green", 1]);
});

test("a violation is red only when it is found four times in a row", async (t) => {
  const { server, client, audit, change, tick } = setUp(t);
  client.inbox.items = [row(2)];
  change();
  await tick(250);
  for (let repetition = 1; repetition <= 2; repetition++) await tick(400);
  assert.deepEqual([audit.verdict, audit.findings?.lost], ["checking", 1]);
  await tick(400);
  assert.deepEqual([audit.verdict, server.requests], ["red", 4]);
});

test("a violation that is gone at the next check was none", async (t) => {
  const { client, audit, change, tick } = setUp(t);
  client.inbox.items = [row(2)];
  change();
  await tick(250);
  client.inbox.items = [row(2), row(1)];
  await tick(400);
  assert.equal(audit.verdict, "green");
});

test("while a frame is under way, the revisions differ and nothing is compared", async (t) => {
  const { client, audit, change, tick } = setUp(t);
  client.inbox.revision = 8;
  client.inbox.items = [];
  change();
  for (const ms of [250, 400, 400, 400, 400]) await tick(ms);
  assert.deepEqual([audit.verdict, audit.findings], ["checking", null]);
});

test("a toast that is shown twice, or a revision that falls, is a violation", async (t) => {
  for (const violate of [
    (/** @type {any} */ client) => [1, 1].forEach((id) => client.dispatchEvent(new CustomEvent("toast", { detail: { id } }))),
    (/** @type {any} */ client) => [10, 9].forEach((revision) => {
      client.inbox.revision = revision;
      client.dispatchEvent(new Event("change"));
    }),
  ]) {
    const { client, audit, change, tick } = setUp(t);
    violate(client);
    change();
    for (const ms of [250, 400, 400, 400]) await tick(ms);
    assert.equal(audit.verdict, "red");
    t.mock.timers.reset();
  }
});

test("disconnected it waits; the time to recovery counts from the end of the fault", async (t) => {
  const { audit, change, setState, tick } = setUp(t);
  setState("connecting");
  assert.equal(audit.verdict, "waiting");
  setState("connected");
  await tick(250);
  assert.equal(audit.recovery, null, "the first connection is no recovery");
  setState("connecting");
  audit.markFaultEnd();
  setState("connected");
  change();
  await tick(250);
  assert.equal(audit.verdict, "green");
  assert.ok(audit.recovery !== null && audit.recovery >= 0);
});

test("while the server is unreachable it tries again, and closed it never does", async (t) => {
  const { server, audit, change, tick } = setUp(t);
  server.isDown = true;
  change();
  await tick(250);
  await tick(1_600);
  assert.equal(server.requests, 2);
  server.isDown = false;
  await tick(1_600);
  assert.equal(audit.verdict, "green");
  change();
  audit.close();
  change();
  await tick(60_000);
  assert.equal(server.requests, 3);
});

test("settled resolves with the findings at the next final verdict", async (t) => {
  const { audit, change, tick } = setUp(t);
  change();
  const settled = audit.settled();
  await tick(250);
  assert.equal((await settled).lost, 0);
});
