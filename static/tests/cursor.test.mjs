import assert from "node:assert/strict";
import { test } from "node:test";

import { Cursor } from "../client/cursor.js";
import { live, synced } from "./sharing.mjs";

/** @returns {Doorbell.HelloFrame} */
const hello = (revision = 9, epoch = "e2") => ({
  type: "hello",
  protocol: 1,
  connection_id: "c1",
  user: { id: 1, username: "ada" },
  epoch,
  revision,
  unread_count: 0,
  resumed: true,
  heartbeat_seconds: 25,
  server_time: "2026-01-01T00:00:00Z",
});
/** @param {number} revision @returns {Doorbell.HeartbeatFrame} */
const heartbeat = (revision) => ({ type: "heartbeat", revision, unread_count: 0, server_time: "2026-01-01T00:00:00Z" });

test("it begins where the connection was asked to go on, else at the hello", () => {
  const asked = new Cursor({ since: 5, epoch: "e1" });
  asked.take(hello());
  assert.deepEqual([asked.revision, asked.epoch], [5, "e1"]);
  const fresh = new Cursor(null);
  fresh.take(hello());
  assert.deepEqual([fresh.revision, fresh.epoch], [9, "e2"]);
});

test("the next revision passes, an older one is dropped, a jump is a gap and moves nothing", () => {
  const cursor = new Cursor({ since: 5, epoch: "e1" });
  assert.deepEqual([7, 6, 6, 5, 7].map((revision) => cursor.take(live(revision))), ["gap", "pass", "drop", "drop", "pass"]);
  assert.equal(cursor.revision, 7);
});

test("a replay may jump, and synced says how far it came", () => {
  const cursor = new Cursor({ since: 5, epoch: "e1" });
  assert.equal(cursor.take({ ...live(8), replayed: true }), "pass");
  assert.equal(cursor.take(synced(10)), "pass");
  assert.equal(cursor.take(live(11)), "pass");
});

test("a heartbeat with another revision is a gap, whichever way it differs", () => {
  const cursor = new Cursor({ since: 5, epoch: "e1" });
  assert.deepEqual([5, 6, 4].map((revision) => cursor.take(heartbeat(revision))), ["pass", "gap", "gap"]);
});

test("after a reset it goes on from the reset's revision, in a history whose name isn't known", () => {
  const cursor = new Cursor({ since: 50, epoch: "e1" });
  assert.equal(cursor.take({ type: "reset", revision: 3, unread_count: 0, reason: "new_epoch" }), "pass");
  assert.deepEqual([cursor.revision, cursor.epoch], [3, undefined]);
  assert.equal(cursor.take(live(4)), "pass");
});

test("frames that carry no revision, and unknown ones, pass", () => {
  const cursor = new Cursor({ since: 5, epoch: "e1" });
  for (const frame of [{ type: "pong", ref: "x" }, { type: "from_the_future", revision: 99 }]) {
    assert.equal(cursor.take(/** @type {any} */ (frame)), "pass");
  }
  assert.equal(cursor.revision, 5);
});
