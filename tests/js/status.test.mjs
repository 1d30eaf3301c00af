import assert from "node:assert/strict";
import { test } from "node:test";

import { countLabel } from "../../static/bell/format.js";
import { hasInbox, sentences, spoken, statusOf } from "../../static/elements/status.js";

const READ = { position: { since: 1, epoch: "e" } };
const UNREAD = { position: null };

/**
 * @param {{position?: object | null}} inbox
 * @param {string} state
 * @param {number | null} [code]
 * @param {string} [reason]
 */
const status = (inbox, state, code = null, reason = "") => statusOf({ inbox, connection: { state, code, reason } });

test("what an element knows of its client", () => {
  assert.equal(statusOf(null), "no-client");
  assert.equal(status(UNREAD, "disconnected"), "reading", "before it has started");
  assert.equal(status(UNREAD, "connecting"), "reading");
  assert.equal(status(UNREAD, "connecting", null, "The server could not be reached."), "connecting");
  assert.equal(status(READ, "connecting"), "current", "the list is fresh, its socket is opening");
  assert.equal(status(READ, "connected"), "current");
  assert.equal(status(READ, "connecting", 1006), "cut-off");
  assert.equal(status(UNREAD, "disconnected", 1000, "Not found."), "unavailable");
  assert.equal(status(READ, "disconnected", 1000), "stopped");
  for (const inbox of [READ, UNREAD]) {
    for (const code of [4500, 4503]) assert.equal(status(inbox, "disconnected", code), "signed-out");
  }
  assert.equal(statusOf({ inbox: {} }), "current", "a client that says neither is taken for connected");
});

test("a list is never called empty before it is known to be, and old rows are called old", () => {
  for (const unknown of /** @type {const} */ (["no-client", "signed-out", "unavailable", "reading", "connecting"])) {
    assert.notEqual(sentences(unknown, false).instead, "", unknown);
    assert.equal(sentences(unknown, false).above, "", "once is enough");
    assert.equal(hasInbox(unknown), unknown === "reading" || unknown === "connecting", unknown);
  }
  assert.deepEqual(sentences("cut-off", false), { above: "Reconnecting; this may be old.", instead: "" });
  assert.equal(sentences("cut-off", true).above, "Reconnecting; this may be old.");
  assert.deepEqual(sentences("current", false), { above: "", instead: "" });
});

test("the bell's accessible name says what isn't as usual", () => {
  assert.equal(countLabel(3, spoken("current")), "Notifications, 3 unread");
  assert.equal(countLabel(3, spoken("cut-off")), "Notifications, 3 unread, reconnecting");
  assert.equal(countLabel(null, spoken("signed-out")), "Notifications, signed out");
  assert.equal(countLabel(null, spoken("reading")), "Notifications");
});
