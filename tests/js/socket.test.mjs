import assert from "node:assert/strict";
import { test } from "node:test";

import { Inbox } from "../../static/client/inbox.js";
import { socketUrl } from "../../static/client/protocol.js";
import { DoorbellSocket } from "../../static/client/socket.js";
import { FakeClock, settle } from "../../static/client/testing/fake-clock.js";
import { FakeServer } from "../../static/client/testing/fake-server.js";
import "./seeded-jitter.mjs";

/** A socket that feeds an inbox, as the client does, with its states and frames recorded. @param {{ticket?: () => Promise<string>}} [options] */
async function connected(options = {}) {
  const server = new FakeServer();
  server.notify({}, {});
  const clock = new FakeClock();
  const inbox = new Inbox();
  inbox.load(server.inbox.list());
  const socket = new DoorbellSocket({
    url: (position) => socketUrl(server.base, position),
    position: () => inbox.position,
    WebSocket: server.WebSocket,
    clock,
    ...options,
  });
  /** @type {Doorbell.StateChange[]} */
  const states = [];
  /** @type {Doorbell.Frame[]} */
  const received = [];
  socket.addEventListener("state", (event) => states.push(/** @type {CustomEvent} */ (event).detail));
  socket.addEventListener("message", (event) => {
    const frame = /** @type {CustomEvent} */ (event).detail;
    received.push(frame);
    assert.notEqual(inbox.apply(frame), null, "the socket let a gap through");
  });
  socket.connect();
  await settle();
  const same = () => assert.deepEqual(inbox.items, server.inbox.list({ limit: Infinity }).items);
  return { server, clock, inbox, socket, states, received, same };
}

test("it offers the subprotocol and its position, and is connected at hello", async () => {
  const { server, states, received } = await connected();
  assert.deepEqual(server.handshakes[0]?.protocols, ["notifications.v1"]);
  assert.equal(server.handshakes[0]?.url.search, "?since=1&epoch=e1");
  assert.deepEqual(states.map(({ state }) => state), ["connecting", "connected"]);
  assert.deepEqual(received.map(({ type }) => type), ["hello", "presence_state", "synced"]);
});

test("each connection gets a fresh ticket, as a subprotocol", async () => {
  let count = 0;
  const { server, clock } = await connected({ ticket: async () => `secret${++count}` });
  server.close(1012);
  await clock.advance(5_000);
  assert.deepEqual(server.handshakes.map(({ protocols }) => protocols[1]), ["ticket.secret1", "ticket.secret2"]);
});

test("a refused ticket stops it, a ticket that can't be fetched doesn't", async () => {
  const refused = await connected({ ticket: async () => Promise.reject(Object.assign(new Error("no"), { status: 401 })) });
  assert.equal(refused.socket.state, "disconnected");
  let isDown = true;
  const later = await connected({ ticket: async () => (isDown ? Promise.reject(new Error("down")) : "t") });
  assert.equal(later.socket.state, "connecting");
  isDown = false;
  await later.clock.advance(5_000);
  assert.equal(later.socket.state, "connected");
});

test("after a lost connection it reconnects and receives what it missed", async () => {
  const { server, clock, socket, same } = await connected();
  server.close(1006);
  await settle();
  assert.equal(socket.state, "connecting");
  server.notify({});
  server.read(1);
  await clock.advance(5_000);
  assert.equal(socket.state, "connected");
  same();
});

for (const code of [4500, 4501, 4502, 4503, 4777]) {
  test(`after ${code} it stops without reconnecting and reports the reason`, async () => {
    const { server, clock, socket, states } = await connected();
    server.close(code, "because");
    await clock.advance(600_000);
    assert.equal(socket.state, "disconnected");
    assert.deepEqual(states.at(-1), { state: "disconnected", code, reason: "because", retryIn: null });
    assert.equal(server.handshakes.length, 1);
  });
}

test("a server that sends hello and crashes before the catch-up is retried ever more rarely", async () => {
  const { server, clock } = await connected();
  const { accept } = server;
  server.accept = (socket, ...call) => {
    accept.call(server, socket, ...call);
    const { deliver } = socket;
    socket.deliver = (frame) => (frame.type === "synced" ? socket.end(1006, "") : deliver.call(socket, frame));
  };
  server.close(1006);
  await clock.advance(300_000);
  assert.ok(server.handshakes.length < 70, `${server.handshakes.length} handshakes in 300 s`);
});

test("a synced connection that is cut again and again is back within 5 s each time", async (t) => {
  t.mock.method(Math, "random", () => 0.999_999);
  const { server, clock, socket, same } = await connected();
  for (let i = 0; i < 5; i++) {
    server.close(1006);
    server.notify({});
    await clock.advance(5_000);
    assert.equal(socket.state, "connected");
    same();
  }
});

test("a lost frame is detected at the next one, and a resume fetches it", async () => {
  const { server, inbox, same } = await connected();
  server.lose(1);
  server.notify({});
  server.notify({});
  await settle();
  assert.deepEqual(server.commands, [{ type: "resume", since: 1, epoch: "e1" }]);
  assert.equal(inbox.revision, 3);
  same();
});

test("a lost last frame is detected at the heartbeat", async () => {
  const { server, same } = await connected();
  server.lose(1);
  server.notify({});
  server.heartbeat();
  await settle();
  assert.equal(server.commands.length, 1);
  same();
});

test("a duplicate frame is dropped", async () => {
  const { server, received, same } = await connected();
  server.double(1);
  server.notify({});
  await settle();
  assert.equal(received.filter(({ type }) => type === "inbox").length, 1);
  same();
});

test("five gaps in a minute are filled by resumes, the sixth by a new connection at once, the next by one with backoff", async () => {
  const { server, clock, states, same } = await connected();
  const gap = async () => {
    server.lose(1);
    server.notify({});
    server.notify({});
    await settle();
  };
  for (let i = 0; i < 5; i++) {
    await gap();
    same();
    await clock.advance(3_000);
  }
  assert.deepEqual([server.commands.length, server.handshakes.length], [5, 1]);
  await gap();
  same();
  assert.deepEqual([server.commands.length, server.handshakes.length], [5, 2]);
  assert.deepEqual(states.slice(-2).map(({ state, retryIn }) => [state, retryIn]), [["connecting", null], ["connected", null]]);
  await gap();
  assert.equal(states.at(-1)?.reason, "repeated gaps");
  await clock.advance(60_000);
  await gap();
  same();
  assert.equal(server.commands.length, 6, "a minute later it may ask again");
});

test("an unanswered resume is repeated once, not at every frame", async () => {
  const { server, clock } = await connected();
  /** @type {string[]} */
  const commands = [];
  server.command = (_socket, text) => void commands.push(text);
  server.lose(1);
  for (let i = 0; i < 5; i++) server.notify({});
  await clock.advance(9_000);
  assert.equal(commands.length, 1);
  await clock.advance(1_000);
  server.notify({});
  await settle();
  assert.equal(commands.length, 2);
});

test("whatever is lost: never a seventh resume a minute, and in the end nothing is missing", async () => {
  const { server, clock, same } = await connected();
  for (let i = 0; i < 60; i++) {
    server.lose(1);
    server.notify({});
    server.notify({});
    await clock.advance(1_000);
  }
  assert.ok(server.commands.length <= 6, `${server.commands.length} resumes in a minute`);
  for (let i = 0; i < 5; i++) {
    await clock.advance(25_000);
    server.heartbeat();
  }
  await settle();
  same();
});

test("after one and a half heartbeat intervals without a frame it reconnects", async () => {
  const { server, clock, socket } = await connected();
  for (let i = 0; i < 4; i++) {
    await clock.advance(25_000);
    server.heartbeat();
  }
  await clock.advance(37_499);
  assert.equal(server.handshakes.length, 1);
  await clock.advance(1);
  assert.equal(socket.state, "connecting");
  await clock.advance(5_000);
  assert.equal(socket.state, "connected");
  assert.equal(server.connections, 1);
});

test("without a hello it reconnects as well", async () => {
  const { server, clock, socket, states } = await connected();
  server.accept = () => {};
  socket.reconnect();
  await clock.advance(15_000);
  assert.equal(states.at(-1)?.reason, "timeout");
});

test("when the network is back it retries at once, and tests a connection that was idle", async () => {
  const { server, clock, socket } = await connected();
  server.close(1006);
  await settle();
  socket.disconnect();

  const real = { add: globalThis.addEventListener, remove: globalThis.removeEventListener };
  /** @type {Map<string, Function>} */
  const listeners = new Map();
  globalThis.addEventListener = (/** @type {string} */ type, /** @type {any} */ listener) => void listeners.set(type, listener);
  globalThis.removeEventListener = (/** @type {string} */ type) => void listeners.delete(type);
  try {
    socket.connect();
    await settle();
    server.close(1006);
    await settle();
    assert.equal(socket.state, "connecting");
    listeners.get("online")?.();
    await settle();
    assert.equal(socket.state, "connected");

    await clock.advance(6_000);
    listeners.get("online")?.();
    await settle();
    assert.equal(server.commands.at(-1)?.type, "ping");
    await clock.advance(6_000);
    assert.equal(socket.state, "connected", "the pong came");
    socket.disconnect();
    assert.equal(listeners.size, 0);
  } finally {
    globalThis.addEventListener = real.add;
    globalThis.removeEventListener = real.remove;
  }
});

test("disconnect leaves no socket, no timer and no retry", async () => {
  const { server, clock, socket } = await connected();
  socket.disconnect();
  await clock.advance(600_000);
  assert.equal(socket.state, "disconnected");
  assert.equal(server.connections, 0);
  assert.equal(server.handshakes.length, 1);
});

test("frames of unknown types are passed on and ignored", async () => {
  const { server, socket, same } = await connected();
  server.broadcast(/** @type {any} */ ({ type: "from_the_future" }));
  server.notify({});
  await settle();
  assert.equal(socket.state, "connected");
  same();
});

test("while it connects again the state keeps the code of the last failure, until hello", async () => {
  const { server, clock, states } = await connected();
  server.refuse = 1006;
  server.close(1012);
  await clock.advance(30_000);
  const since = states.slice(states.findIndex(({ code }) => code === 1012));
  assert.ok(since.length > 3);
  assert.ok(since.every(({ state, code }) => state === "connecting" && (code === 1012 || code === 1006)));
  server.refuse = null;
  await clock.advance(30_000);
  assert.deepEqual(states.at(-1), { state: "connected", code: null, reason: "", retryIn: null });
});

test("a socket that has never opened is explained on the console, once; one that has is not", async (t) => {
  const said = t.mock.method(console, "warn", () => {});
  const { server, clock } = await connected();
  server.refuse = 1006;
  server.close(1006);
  await clock.advance(60_000);
  assert.equal(said.mock.callCount(), 0);

  const socket = new DoorbellSocket({ url: (position) => socketUrl(server.base, position), WebSocket: server.WebSocket, clock });
  socket.connect();
  await clock.advance(60_000);
  assert.equal(said.mock.callCount(), 1);
  assert.match(String(said.mock.calls[0]?.arguments[0]), /^Doorbell: the WebSocket ws.*\/ws\/notifications\/ has never opened; .*manage\.py check/);
  socket.disconnect();
});
