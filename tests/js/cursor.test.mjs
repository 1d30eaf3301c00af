import assert from "node:assert/strict";
import { test } from "node:test";

import { Cursor } from "../../static/client/cursor.js";
import { live, synced } from "./fake-tabs.mjs";

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

test("it starts at the requested position, without one at the hello's", () => {
  const resumed = new Cursor({ since: 5, epoch: "e1" });
  resumed.advance(hello());
  assert.deepEqual([resumed.revision, resumed.epoch], [5, "e1"]);
  const fresh = new Cursor(null);
  fresh.advance(hello());
  assert.deepEqual([fresh.revision, fresh.epoch], [9, "e2"]);
});

test("the next revision passes, an older one is dropped, a jump is a gap and moves nothing", () => {
  const cursor = new Cursor({ since: 5, epoch: "e1" });
  assert.deepEqual([7, 6, 6, 5, 7].map((revision) => cursor.advance(live(revision))), ["gap", "pass", "drop", "drop", "pass"]);
  assert.equal(cursor.revision, 7);
});

test("a replay may skip revisions, and synced sets the position", () => {
  const cursor = new Cursor({ since: 5, epoch: "e1" });
  assert.equal(cursor.advance({ ...live(8), replayed: true }), "pass");
  assert.equal(cursor.advance(synced(10)), "pass");
  assert.equal(cursor.advance(live(11)), "pass");
});

test("a heartbeat with another revision is a gap, whichever way it differs", () => {
  const cursor = new Cursor({ since: 5, epoch: "e1" });
  assert.deepEqual([5, 6, 4].map((revision) => cursor.advance(heartbeat(revision))), ["pass", "gap", "gap"]);
});

test("after a reset it continues from the reset's revision, with an unknown epoch", () => {
  const cursor = new Cursor({ since: 50, epoch: "e1" });
  assert.equal(cursor.advance({ type: "reset", revision: 3, unread_count: 0, reason: "new_epoch" }), "pass");
  assert.deepEqual([cursor.revision, cursor.epoch], [3, undefined]);
  assert.equal(cursor.advance(live(4)), "pass");
});

test("frames that carry no revision, and unknown ones, pass", () => {
  const cursor = new Cursor({ since: 5, epoch: "e1" });
  for (const frame of [{ type: "pong", ref: "x" }, { type: "from_the_future", revision: 99 }]) {
    assert.equal(cursor.advance(/** @type {any} */ (frame)), "pass");
  }
  assert.equal(cursor.revision, 5);
});
