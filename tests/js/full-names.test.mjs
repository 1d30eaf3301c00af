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
    ["new_message", "adaさんからの新しいメッセージ", "Ada Lovelaceさんからの新しいメッセージ"],
    ["user_online", "adamant: ada ist online", "adamant: Ada Lovelace ist online"],
  ]) {
    const row = { id: 1, notification_type, title: before ?? "", actor: ADA };
    assert.deepEqual(withFullName(row, fullName), { ...row, title: after, actor: { id: 1, username: "Ada Lovelace" } });
    assert.equal(row.title, before);
  }
});

test("any other title, and that of a person without a full name, stays as it is", () => {
  for (const notification_type of ["announcement", "of_their_own"]) {
    assert.equal(withFullName({ notification_type, title: "ada paid", actor: ADA }, fullName).title, "ada paid");
  }
  for (const title of ["adapter is online", "Somebody is online"]) {
    assert.equal(withFullName({ notification_type: "user_online", title, actor: ADA }, fullName).title, title);
  }
  const eve = { notification_type: "user_online", title: "eve is online", actor: { username: "eve" } };
  assert.deepEqual(withFullName(eve, fullName), eve);
  const row = { notification_type: "announcement", title: "Hello", actor: null };
  assert.equal(withFullName(row, fullName), row);
});
