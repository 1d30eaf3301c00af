import assert from "node:assert/strict";
import { test } from "node:test";

import { Http } from "../client/http.js";
import { Inbox } from "../client/inbox.js";
import { Line } from "../client/line.js";
import { socketUrl } from "../client/protocol.js";
import { FakeClock, settle } from "../client/testing/fake-clock.js";
import { FakeServer } from "../client/testing/fake-server.js";

/** A line that feeds an inbox, as the client does. */
function setUp() {
  const server = new FakeServer();
  server.notify({ title: "old" });
  const clock = new FakeClock();
  const inbox = new Inbox();
  const line = new Line({
    http: new Http({ base: server.base, fetch: server.fetch }),
    position: () => inbox.position,
    url: (position) => socketUrl(server.base, position),
    WebSocket: server.WebSocket,
    clock,
  });
  /** @type {[string, any][]} */
  const events = [];
  for (const type of ["page", "message", "state", "error"]) {
    line.addEventListener(type, (event) => events.push([type, /** @type {CustomEvent} */ (event).detail]));
  }
  line.addEventListener("page", (event) => inbox.load(/** @type {CustomEvent} */ (event).detail));
  line.addEventListener("message", (event) => inbox.apply(/** @type {CustomEvent} */ (event).detail.frame));
  /** In short: what came, by type, frame or state. */
  const story = () => events.map(([type, detail]) => detail?.frame?.type ?? detail?.state ?? type);
  return { server, clock, inbox, line, events, story };
}

test("without a list it reads one first; with one it connects at once", async () => {
  const { server, line, story } = setUp();
  line.start();
  await settle();
  assert.deepEqual(story(), ["connecting", "page", "connecting", "connected", "hello", "presence_state", "synced"]);
  line.stop();
  line.start();
  await settle();
  assert.deepEqual(server.requests, ["GET notifications"]);
  assert.equal(server.handshakes.length, 2);
});

test("every frame is for this tab to show", async () => {
  const { server, line, events } = setUp();
  line.start();
  await settle();
  server.notify({});
  await settle();
  const deliveries = events.filter(([type]) => type === "message").map(([, detail]) => detail);
  assert.ok(deliveries.length > 3 && deliveries.every(({ isOurs }) => isOurs));
});

test("after a reset: the list, a synced of its own, and then what came meanwhile; other frames aren't held up", async () => {
  const { server, inbox, line, events, story } = setUp();
  line.start();
  await settle();
  const { length } = story();
  server.pause = async () => {
    server.pause = async () => {};
    server.notify({ title: "meanwhile" });
    server.broadcast({ type: "presence", user: { id: 2, username: "grace" }, is_online: true, last_seen: null, version: 1 });
    await settle();
  };
  server.broadcast({ type: "reset", revision: 1, unread_count: 1, reason: "new_epoch" });
  await settle();
  await settle();
  assert.deepEqual(story().slice(length), ["presence", "page", "synced", "inbox"]);
  assert.deepEqual([events.at(-2)?.[1].frame.revision, inbox.revision], [1, 2], "the page's own revision, then the frame's");
});

test("more held frames than a thousand are given up for a new connection", async () => {
  const { server, line, clock, inbox } = setUp();
  line.start();
  await settle();
  let isFlooded = false;
  server.pause = async () => {
    server.pause = async () => {};
    for (let i = 0; i < 1_001; i++) server.notify({});
    await settle();
    isFlooded = true;
  };
  server.broadcast({ type: "reset", revision: 1, unread_count: 1, reason: "new_epoch" });
  await settle();
  await settle();
  assert.ok(isFlooded);
  await clock.advance(10_000);
  assert.equal(server.handshakes.length, 2);
  assert.equal(server.handshakes[1]?.url.searchParams.get("since"), "1", "from where the inbox stood");
  assert.equal(inbox.revision, server.inbox.revision);
});

test("stopped while it reads the list it says so once, and never connects", async () => {
  const { server, line, events } = setUp();
  line.start();
  line.stop(4503, "over");
  line.stop();
  await settle();
  assert.deepEqual(events.map(([, { state, code, reason }]) => [state, code, reason]), [
    ["connecting", null, ""],
    ["disconnected", 4503, "over"],
  ]);
  assert.equal(server.handshakes.length, 0);
});

test("a list that is refused is an error and the end, 4500 for a login that is missing", async () => {
  const { server, line, events } = setUp();
  server.failing = 401;
  line.start();
  await settle();
  assert.deepEqual(events.map(([type]) => type), ["state", "error", "state"]);
  assert.deepEqual([events[2]?.[1].state, events[2]?.[1].code], ["disconnected", 4500]);
});

test("a gap is mended by a new connection, a stopped line by a start", async () => {
  const { server, line } = setUp();
  line.reconnect();
  await settle();
  assert.equal(server.connections, 1, "reconnect starts what has stopped");
  line.recover();
  await settle();
  line.reconnect();
  await settle();
  assert.deepEqual([server.handshakes.length, server.connections], [3, 1]);
  line.stop();
  line.recover();
  await settle();
  assert.equal(server.connections, 0, "nothing to mend");
});
