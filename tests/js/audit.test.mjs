import assert from "node:assert/strict";
import { test } from "node:test";

import { compare } from "../../static/demo/audit.js";

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
  assert.equal(compare(items.toReversed(), null, page([3, 2, 1])).disordered, 2);
});
