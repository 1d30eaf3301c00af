import assert from "node:assert/strict";
import { test } from "node:test";

import { UnreadMessages } from "../../static/demo/unread.js";
import { settle } from "../../static/client/testing/fake-clock.js";

const ADA = { id: 1, username: "ada" };
const GRACE = { id: 2, username: "grace" };

/**
 * @param {number} id
 * @param {object} [fields]
 * @returns {any}
 */
const row = (id, fields = {}) => ({ id, notification_type: "new_message", is_read: false, actor: ADA, ...fields });

/** @param {{items?: any[], next?: number | null, pages?: any[][]}} [state] the loaded window, and the older pages */
function setUp({ items = [], next = null, pages = [] } = {}) {
  /** @type {any[]} */
  const requests = [];
  /** @type {(() => void)[]} */
  const pending = [];
  const client = /** @type {any} */ (Object.assign(new EventTarget(), {
    inbox: { items, next, get: (/** @type {number} */ id) => items.find((item) => item.id === id) },
    http: {
      get: (/** @type {string} */ _path, /** @type {any} */ query) => {
        requests.push(query.before);
        const page = pages.shift() ?? [];
        return new Promise((resolve) => pending.push(() => resolve({ items: page, next: pages.length > 0 ? page.at(-1).id : null })));
      },
    },
  }));
  const unread = new UnreadMessages(client, (action) => void action());
  const answer = async () => {
    pending.shift()?.();
    await settle();
  };
  const synced = () => client.dispatchEvent(new Event("synced"));
  /** @param {{read?: number[], removed?: number[]}} change */
  const change = ({ read = [], removed = [] }) => client.dispatchEvent(new CustomEvent("change", { detail: { read, removed } }));
  return { unread, requests, answer, synced, change };
}

test("it counts unread messages by sender, and neither read ones nor other types", () => {
  const items = [row(5), row(4, { actor: GRACE }), row(3), row(2, { is_read: true }), row(1, { notification_type: "message_read" }), row(9, { actor: null })];
  assert.deepEqual([...setUp({ items }).unread.count()], [[1, 2], [2, 1]]);
});

test("after `synced` it reads all older pages, and none when everything is loaded", async () => {
  const { unread, requests, answer, synced } = setUp({ items: [row(9)], next: 9, pages: [[row(8), row(7)], [row(3, { actor: GRACE })]] });
  synced();
  await answer();
  await answer();
  assert.deepEqual(requests, [9, 7]);
  assert.deepEqual([...unread.count()], [[1, 3], [2, 1]]);

  const loaded = setUp({ items: [row(9)] });
  loaded.synced();
  await settle();
  assert.deepEqual(loaded.requests, []);
});

test("a row of an older page that is loaded by now counts once", async () => {
  const { unread, answer, synced } = setUp({ items: [row(9), row(8)], next: 9, pages: [[row(8)]] });
  synced();
  await answer();
  assert.deepEqual([...unread.count()], [[1, 2]]);
});

test("older rows that are read or removed don't count any more, also if that happens during the request", async () => {
  const { unread, answer, synced, change } = setUp({ next: 9, pages: [[row(8), row(7), row(6)]] });
  synced();
  change({ read: [8] });
  await answer();
  change({ removed: [7] });
  assert.deepEqual([...unread.count()], [[1, 1]]);
});

test("of two requests the newer one counts", async () => {
  const { unread, answer, synced } = setUp({ next: 9, pages: [[row(8), row(7)], []] });
  synced();
  synced();
  await answer();
  assert.deepEqual([...unread.count()], []);
  await answer();
  assert.deepEqual([...unread.count()], []);
});
