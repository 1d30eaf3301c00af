import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { FaultyNetwork } from "../../static/demo/faulty-network.js";
import { live } from "./fake-tabs.mjs";

/** Node has no CloseEvent. */
class FakeCloseEvent extends Event {
  /**
   * @param {string} type
   * @param {object} fields
   */
  constructor(type, fields) {
    super(type);
    Object.assign(this, fields);
  }
}
globalThis.CloseEvent = /** @type {any} */ (FakeCloseEvent);

/** The browser's WebSocket, on which a test fires events. */
class FakeWebSocket extends EventTarget {
  /** @type {FakeWebSocket[]} */
  static opened = [];
  static CONNECTING = 0;
  static CLOSED = 3;
  readyState = 1;
  /** @type {string[]} */
  sent = [];
  isClosed = false;

  constructor() {
    super();
    FakeWebSocket.opened.push(this);
  }

  /** @param {string} text */
  send(text) {
    this.sent.push(text);
  }

  close() {
    this.isClosed = true;
  }

  /** @param {unknown} frame */
  deliver(frame) {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(frame) }));
  }
}

beforeEach(() => {
  FakeWebSocket.opened = [];
  globalThis.WebSocket = /** @type {any} */ (FakeWebSocket);
});

/** A network with one open socket. */
function connected() {
  const network = new FaultyNetwork();
  /** @type {Demo.TrafficEntry[]} */
  const traffic = [];
  network.addEventListener("traffic", (event) => traffic.push(/** @type {CustomEvent} */ (event).detail));
  const socket = new network.WebSocket("ws://doorbell.test/");
  /** @type {number[]} */
  const received = [];
  /** @type {number[]} */
  const closed = [];
  socket.addEventListener("message", ({ data }) => received.push(JSON.parse(data).revision));
  socket.addEventListener("close", ({ code }) => closed.push(code));
  const real = FakeWebSocket.opened[0] ?? assert.fail();
  /** @param {number[]} revisions */
  const deliver = (...revisions) => revisions.forEach((revision) => real.deliver(live(revision)));
  return { network, traffic, socket, received, closed, real, deliver };
}

test("without a fault, frames, commands and the close code pass through", () => {
  const { socket, received, closed, real, deliver } = connected();
  deliver(1, 2);
  socket.send("command");
  real.dispatchEvent(new CloseEvent("close", { code: 4503, reason: "signed out" }));
  assert.deepEqual([received, real.sent, closed], [[1, 2], ["command"], [4503]]);
});

test("a cut is an abnormal closure without a frame after it, and new sockets can be opened", () => {
  const { network, socket, received, closed, real, deliver } = connected();
  network.cut();
  deliver(1);
  socket.send("command");
  real.dispatchEvent(new CloseEvent("close", { code: 1000 }));
  assert.deepEqual([received, real.sent, closed, real.isClosed], [[], [], [1006], true]);
  new network.WebSocket("ws://doorbell.test/");
  assert.equal(FakeWebSocket.opened.length, 2);
});

test("offline, sockets close and requests fail; going online fires the browser's event", async (t) => {
  const events = new EventTarget();
  const real = globalThis.dispatchEvent;
  globalThis.dispatchEvent = (event) => events.dispatchEvent(event);
  t.after(() => (globalThis.dispatchEvent = real));
  let online = 0;
  events.addEventListener("online", () => (online += 1));

  const { network, closed } = connected();
  network.goOffline();
  assert.deepEqual(closed, [1006]);
  await assert.rejects(network.fetch("/api/v1/session"), new TypeError("The network is offline."));
  const late = new network.WebSocket("ws://doorbell.test/");
  const code = await new Promise((resolve) => late.addEventListener("close", (event) => resolve(event.code)));
  assert.deepEqual([code, FakeWebSocket.opened.length, online], [1006, 1, 0]);
  network.goOnline();
  assert.equal(online, 1);
});

for (const [kind, expected] of /** @type {const} */ ([["drop", [3]], ["double", [1, 1, 2, 2, 3]], ["shuffle", [2, 1, 3]]])) {
  test(`${kind}: the fault applies to the next two live frames only`, () => {
    const { network, traffic, received, deliver } = connected();
    let disturbed = 0;
    network.addEventListener("disturbed", () => (disturbed += 1));
    network.disturb(kind, 2);
    assert.equal(network.isClear, false);
    deliver(1, 2, 3);
    assert.deepEqual(received, expected);
    assert.deepEqual([disturbed, traffic.length], [2, 2]);
  });
}

test("delay: the frames arrive two seconds later, after their successors", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { network, received, deliver } = connected();
  network.disturb("delay", 2);
  deliver(1, 2, 3);
  assert.deepEqual([received, network.isClear], [[3], false]);
  t.mock.timers.tick(2_000);
  assert.deepEqual([received, network.isClear], [[3, 1, 2], true]);
});

test("shuffle: held frames are released after two seconds, even if no other frame arrives", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { network, received, deliver } = connected();
  network.disturb("shuffle", 3);
  deliver(1, 2);
  assert.deepEqual(received, []);
  t.mock.timers.tick(2_000);
  assert.deepEqual(received, [2, 1]);
});

test("replayed frames and other types are never disturbed", () => {
  const { network, received, real } = connected();
  network.disturb("drop", 1);
  real.deliver({ ...live(1), replayed: true });
  real.deliver({ type: "synced", revision: 2, unread_count: 0 });
  assert.deepEqual([received, network.isClear], [[1, 2], false]);
});

test("clear ends the fault and releases what is held", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { network, received, deliver } = connected();
  network.disturb("shuffle", 3);
  deliver(1, 2);
  network.clear();
  deliver(3);
  assert.deepEqual(received, [2, 1, 3]);
});
