import assert from "node:assert/strict";
import { test } from "node:test";

import { Http } from "../../static/client/http.js";
import { Inbox } from "../../static/client/inbox.js";
import { InboxStream } from "../../static/client/stream.js";
import { socketUrl } from "../../static/client/protocol.js";
import { FakeClock, settle } from "../../static/client/testing/fake-clock.js";
import { FakeServer } from "../../static/client/testing/fake-server.js";
import "./seeded-jitter.mjs";

/** A stream that feeds an inbox, as the client does. */
function setUp() {
  const server = new FakeServer();
  server.notify({ title: "old" });
  const clock = new FakeClock();
  const inbox = new Inbox();
  const stream = new InboxStream({
    http: new Http({ base: server.base, fetch: server.fetch }),
    position: () => inbox.position,
    url: (position) => socketUrl(server.base, position),
    WebSocket: server.WebSocket,
    clock,
  });
  /** @type {[string, any][]} */
  const events = [];
  for (const type of ["page", "message", "state", "error"]) {
    stream.addEventListener(type, (event) => events.push([type, /** @type {CustomEvent} */ (event).detail]));
  }
  stream.addEventListener("page", (event) => inbox.load(/** @type {CustomEvent} */ (event).detail));
  stream.addEventListener("message", (event) => inbox.apply(/** @type {CustomEvent} */ (event).detail.frame));
  /** The events in short: type of frame, state or type of event. */
  const summary = () => events.map(([type, detail]) => detail?.frame?.type ?? detail?.state ?? type);
  return { server, clock, inbox, stream, events, summary };
}

test("without a position it reads the list first; with one it connects at once", async () => {
  const { server, stream, summary } = setUp();
  stream.start();
  await settle();
  assert.deepEqual(summary(), ["connecting", "page", "connecting", "connected", "hello", "presence_state", "synced"]);
  stream.stop();
  stream.start();
  await settle();
  assert.deepEqual(server.requests, ["GET notifications"]);
  assert.equal(server.handshakes.length, 2);
});

test("every toast is shown in this tab", async () => {
  const { server, stream, events } = setUp();
  stream.start();
  await settle();
  server.notify({});
  await settle();
  const deliveries = events.filter(([type]) => type === "message").map(([, detail]) => detail);
  assert.ok(deliveries.length > 3 && deliveries.every(({ showHere }) => showHere));
});

test("after a reset: the list, a `synced` of its own, then the buffered frames; frames without a revision aren't buffered", async () => {
  const { server, inbox, stream, events, summary } = setUp();
  stream.start();
  await settle();
  const { length } = summary();
  server.pause = async () => {
    server.pause = async () => {};
    server.notify({ title: "meanwhile" });
    server.broadcast({ type: "presence", user: { id: 2, username: "grace" }, is_online: true, last_seen: null, version: 1 });
    await settle();
  };
  server.broadcast({ type: "reset", revision: 1, unread_count: 1, reason: "new_epoch" });
  await settle();
  await settle();
  assert.deepEqual(summary().slice(length), ["presence", "page", "synced", "inbox"]);
  assert.deepEqual([events.at(-2)?.[1].frame.revision, inbox.revision], [1, 2], "the page's own revision, then the frame's");
});

test("with more than a thousand buffered frames it reconnects", async () => {
  const { server, stream, clock, inbox } = setUp();
  stream.start();
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
  assert.equal(server.handshakes[1]?.url.searchParams.get("since"), "1", "from the inbox's position");
  assert.equal(inbox.revision, server.inbox.revision);
});

test("stopped while it reads the list it reports that once, and never connects", async () => {
  const { server, stream, events } = setUp();
  stream.start();
  stream.stop(4503, "over");
  stream.stop();
  await settle();
  assert.deepEqual(events.map(([, { state, code, reason }]) => [state, code, reason]), [
    ["connecting", null, ""],
    ["disconnected", 4503, "over"],
  ]);
  assert.equal(server.handshakes.length, 0);
});

test("a refused list emits an error and stops it, with 4500 for a missing login", async () => {
  const { server, stream, events } = setUp();
  server.failing = 401;
  stream.start();
  await settle();
  assert.deepEqual(events.map(([type]) => type), ["state", "error", "state"]);
  assert.deepEqual([events[2]?.[1].state, events[2]?.[1].code], ["disconnected", 4500]);
});

test("recover and reconnect make a new connection; reconnect starts a stopped stream", async () => {
  const { server, stream } = setUp();
  stream.reconnect();
  await settle();
  assert.equal(server.connections, 1, "reconnect starts a stopped stream");
  stream.recover();
  await settle();
  stream.reconnect();
  await settle();
  assert.deepEqual([server.handshakes.length, server.connections], [3, 1]);
  stream.stop();
  stream.recover();
  await settle();
  assert.equal(server.connections, 0, "recover doesn't");
});
