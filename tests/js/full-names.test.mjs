import assert from "node:assert/strict";
import { test } from "node:test";

import { withFullName } from "../../static/demo/full-names.js";

const fullName = (/** @type {string} */ username) => (username === "ada" ? "Ada Lovelace" : username);
const ADA = { id: 1, username: "ada" };

test("the titles of the server's own types name the person by their full name", () => {
  for (const [notification_type, before, after] of [
    ["new_message", "New message from ada", "New message from Ada Lovelace"],
    ["message_read", "Message read by ada", "Message read by Ada Lovelace"],
    ["user_online", "ada is online", "Ada Lovelace is online"],
    ["user_offline", "ada is offline", "Ada Lovelace is offline"],
  ]) {
    const row = { id: 1, notification_type, title: before ?? "", actor: ADA };
    assert.deepEqual(withFullName(row, fullName), { ...row, title: after, actor: { id: 1, username: "Ada Lovelace" } });
    assert.equal(row.title, before);
  }
});

test("any other title, also one published under such a type, stays as it is", () => {
  for (const notification_type of ["new_message", "announcement", "of_their_own"]) {
    assert.equal(withFullName({ notification_type, title: "ada paid", actor: ADA }, fullName).title, "ada paid");
  }
  const row = { notification_type: "announcement", title: "Hello", actor: null };
  assert.equal(withFullName(row, fullName), row);
});
