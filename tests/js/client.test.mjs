import assert from "node:assert/strict";
import { test } from "node:test";

import { DoorbellClient } from "../../static/client/client.js";
import { ApiError, Http } from "../../static/client/http.js";
import { FakeClock, settle } from "../../static/client/testing/fake-clock.js";
import { FakeServer } from "../../static/client/testing/fake-server.js";
import { random } from "./random.mjs";
import "./seeded-jitter.mjs";

/** @param {{token?: string}} [options] */
function setUp(options = {}) {
  const server = new FakeServer();
  const clock = new FakeClock();
  const client = new DoorbellClient({ base: server.base, fetch: server.fetch, WebSocket: server.WebSocket, clock, ...options });
  /** @type {Doorbell.Notification[]} */
  const toasts = [];
  client.addEventListener("toast", (event) => toasts.push(/** @type {CustomEvent} */ (event).detail));
  const same = () => {
    const fresh = server.inbox.list({ limit: Infinity });
    const floor = client.inbox.next ?? -Infinity;
    assert.deepEqual(client.inbox.items, fresh.items.filter((row) => row.id >= floor));
    assert.equal(client.inbox.unreadCount, fresh.unread_count);
    assert.equal(client.inbox.revision, fresh.revision);
  };
  return { server, clock, client, toasts, same };
}

test("it reads the list, then continues from its revision: what is created in between is toasted", async () => {
  const { server, client, toasts, same } = setUp();
  server.notify({ title: "old" });
  server.pause = async () => server.notify({ title: "in between" });
  await client.start();
  server.pause = async () => {};
  await settle();
  assert.deepEqual(toasts.map((row) => row.title), ["in between"]);
  assert.equal(client.state, "connected");
  assert.deepEqual(client.user, { id: 1, username: "ada" });
  same();
});

test("start waits for a server that isn't up yet, and rejects on a refusal", async () => {
  const late = setUp();
  late.server.failing = 503;
  const started = late.client.start();
  await late.clock.advance(1_000);
  assert.equal(late.client.state, "connecting");
  late.server.failing = null;
  await late.clock.advance(60_000);
  await started;
  await settle();
  assert.equal(late.client.state, "connected");

  const refused = setUp();
  refused.server.failing = 401;
  await assert.rejects(refused.client.start(), ApiError);
  assert.equal(refused.client.state, "disconnected");
});

for (const [reason, damage] of /** @type {[string, (server: FakeServer) => void][]} */ ([
  ["new_epoch", (server) => server.rotateEpoch()],
  ["unknown_revision", (server) => (server.inbox.revision = 1)],
  ["history_removed", (server) => (server.inbox.floor = 99)],
  ["too_far_behind", (server) => (server.inbox.tooFarBehind = 0)],
])) {
  test(`a reset (${reason}) reads the list again, without toasts`, async () => {
    const { server, clock, client, toasts, same } = setUp();
    server.notify({});
    server.notify({});
    await client.start();
    await settle();
    server.close(1012);
    await settle();
    server.notify({});
    damage(server);
    await clock.advance(5_000);
    assert.equal(server.requests.filter((call) => call === "GET notifications").length, 2);
    assert.equal(toasts.length, 0);
    same();
    server.inbox.floor = 0;
    server.notify({ title: "and on" });
    await settle();
    assert.deepEqual(toasts.map((row) => row.title), ["and on"]);
    same();
  });
}

test("a truncated list is read again: at the start and after a reset", async () => {
  const { server, clock, client, same } = setUp();
  server.cutting = 2;
  const started = client.start();
  await clock.advance(20_000);
  await started;
  await settle();
  assert.equal(client.state, "connected");

  server.cutting = 1;
  server.rotateEpoch();
  server.close(1012);
  server.notify({ title: "meanwhile" });
  await clock.advance(30_000);
  server.notify({ title: "and on" });
  await settle();
  assert.deepEqual(client.inbox.items.map((row) => row.title), ["and on", "meanwhile"]);
  same();
});

test("a fault of the page or an old browser isn't a refusal: said once on the console and in the state, and tried again", async (t) => {
  const { server, clock, client } = setUp();
  const said = t.mock.method(console, "error", () => {});
  const { http } = client;
  const get = http.get.bind(http);
  let faults = 3;
  http.get = async (/** @type {[string]} */ ...args) => {
    if (args[0] === "notifications" && faults-- > 0) throw new TypeError("AbortSignal.any is not a function");
    return get(...args);
  };
  /** @type {Doorbell.StateChange[]} */
  const states = [];
  client.addEventListener("state", (event) => states.push(/** @type {CustomEvent} */ (event).detail));
  const started = client.start();
  await settle();
  assert.deepEqual([client.state, states.at(-1)?.reason], ["connecting", "TypeError: AbortSignal.any is not a function"]);
  await clock.advance(20_000); // three retries take 18 s at most; later, the silent server would be taken for lost
  await started;
  await settle();
  assert.equal(client.state, "connected");
  server.notify({ title: "Hello" });
  await settle();
  assert.equal(client.inbox.items[0]?.title, "Hello");
  assert.equal(said.mock.callCount(), 1);
});

test("an answer that isn't JSON is a network error, and an aborted request stays an abort", async () => {
  const portal = new Http({ fetch: async () => new Response("<h1>Welcome to our hotel</h1>") });
  await assert.rejects(portal.get("notifications"), { status: 0, code: "network", isTemporary: true });
  const proxy = new Http({ fetch: async () => new Response("<h1>Bad gateway</h1>", { status: 502 }) });
  await assert.rejects(proxy.get("notifications"), { status: 502, code: "unknown" });
  const empty = new Http({ token: "t", fetch: async () => new Response(null, { status: 204 }) });
  assert.equal(await empty.delete("notifications/1"), null);
  const left = new ReadableStream({ start: (body) => body.error(new DOMException("Left.", "AbortError")) });
  const aborted = new Http({ fetch: async () => new Response(left) });
  await assert.rejects(aborted.get("notifications"), { name: "AbortError" });
});

test("frames that arrive while the list is read again are applied after it", async () => {
  const { server, clock, client, toasts, same } = setUp();
  await client.start();
  server.rotateEpoch();
  server.pause = async () => {
    server.notify({ title: "during" });
    await settle();
  };
  server.close(1012);
  await clock.advance(5_000);
  await settle();
  server.pause = async () => {};
  assert.deepEqual(toasts.map((row) => row.title), ["during"]);
  same();
});

test("a connection lost while the list is read again: the next one starts from the old position", async () => {
  const { server, clock, client, same } = setUp();
  server.notify({});
  await client.start();
  server.rotateEpoch();
  server.pause = () => new Promise(() => {});
  server.close(1012);
  await clock.advance(5_000);
  server.pause = async () => {};
  server.close(1012);
  server.notify({});
  await clock.advance(9_000);
  same();
});

test("marking read, unread and removing take effect at once and agree with the frames", async () => {
  const { server, client, same } = setUp();
  server.notify({}, {}, {});
  await client.start();
  await settle();
  assert.deepEqual((await client.markRead(1)).ids, [1]);
  assert.equal(client.inbox.unreadCount, 2);
  await client.markAllRead();
  assert.equal(client.inbox.unreadCount, 0);
  await client.markUnread(2, 3);
  await client.remove(3);
  await settle();
  assert.equal(client.inbox.unreadCount, 1);
  same();
});

test("read on another device: the badge follows", async () => {
  const { server, client, same } = setUp();
  server.notify({}, {});
  await client.start();
  await settle();
  server.read(1, 2);
  await settle();
  assert.equal(client.inbox.unreadCount, 0);
  same();
});

test("older pages are appended, down to the first notification", async () => {
  const { server, client, same } = setUp();
  for (let i = 0; i < 120; i++) server.notify({});
  await client.start();
  assert.equal(client.inbox.items.length, 50);
  await client.loadMore();
  await client.loadMore();
  await client.loadMore();
  await settle();
  assert.equal(client.inbox.items.length, 120);
  same();
});

test("with a token it uses tickets and never the cookie", async () => {
  const { server, client } = setUp({ token: "api-token" });
  /** @type {RequestInit[]} */
  const calls = [];
  const { fetch } = server;
  client.http = new (/** @type {any} */ (client.http.constructor))({
    base: server.base,
    token: "api-token",
    fetch: (/** @type {string} */ url, /** @type {RequestInit} */ init) => (calls.push(init), fetch(url, init)),
  });
  await client.start();
  await settle();
  assert.match(server.handshakes[0]?.protocols[1] ?? "", /^ticket\.t\d+$/);
  for (const call of calls) {
    assert.equal(new Headers(call.headers).get("Authorization"), "Bearer api-token");
    assert.equal(call.credentials, "omit");
  }
});

test("with the cookie a change carries the CSRF token, fetched again when it is outdated", async () => {
  const { server, client } = setUp();
  server.notify({});
  await client.markRead(1);
  assert.deepEqual(server.requests, ["GET session", "POST notifications/read"]);
  server.failing = 403;
  await assert.rejects(client.markRead(1), { status: 403 });
  assert.deepEqual(server.requests.slice(2), ["POST notifications/read", "GET session"]);
});

test("a change is sent with keepalive, because following a link may cause it; a GET isn't", async () => {
  const { server } = setUp();
  /** @type {[string, boolean | undefined][]} */
  const calls = [];
  const http = new Http({ base: server.base, fetch: (url, init) => (calls.push([init?.method ?? "", init?.keepalive]), server.fetch(url, init)) });
  await http.post("notifications/read", { ids: [1] });
  assert.deepEqual(calls, [["GET", false], ["POST", true]]);
});

test("presence: presence_state replaces what is known, a version that isn't higher is ignored", async () => {
  const { server, clock, client } = setUp();
  const grace = { id: 2, username: "grace" };
  server.presence = [{ user: grace, is_online: true, last_seen: null, version: 5 }];
  await client.start();
  await settle();
  assert.equal(client.presence.isOnline(2), true);
  server.broadcast({ type: "presence", user: grace, is_online: false, last_seen: null, version: 5 });
  await settle();
  assert.equal(client.presence.isOnline(2), true);
  server.broadcast({ type: "presence", user: grace, is_online: false, last_seen: null, version: 6 });
  await settle();
  assert.equal(client.presence.isOnline(2), false);
  server.presence = [{ user: grace, is_online: true, last_seen: null, version: 7 }];
  server.close(1012);
  await clock.advance(5_000);
  assert.equal(client.presence.isOnline(2), true);
  server.presence = [];
  server.close(1012);
  await clock.advance(9_000);
  assert.equal(client.presence.isOnline(2), false);
});

test("signed out elsewhere: it stops and clears the user", async () => {
  const { server, clock, client } = setUp();
  await client.start();
  await settle();
  server.close(4503, "signed out");
  await clock.advance(60_000);
  assert.equal(client.state, "disconnected");
  assert.equal(client.user, null);
});

test("the next user to sign in doesn't get the inbox of the previous one, nor by reconnecting", async () => {
  const [ada, grace] = [new FakeServer(), new FakeServer({ user: { id: 2, username: "grace" } })];
  let server = ada;
  const client = new DoorbellClient({
    base: ada.base,
    fetch: (...call) => server.fetch(...call),
    WebSocket: /** @type {any} */ (
      class {
        /** @param {[string, string[]]} call */
        constructor(...call) {
          return new server.WebSocket(...call);
        }
      }
    ),
    clock: new FakeClock(),
  });
  /** @type {Doorbell.StateChange[]} */
  const states = [];
  client.addEventListener("state", (event) => states.push(/** @type {CustomEvent} */ (event).detail));
  ada.notify({ title: "for ada" });
  await client.start();
  await settle();
  ada.close(4503);
  await settle();

  server = grace;
  grace.notify({ title: "for grace" });
  for (const epoch of [ada.inbox.epoch, "another"]) {
    grace.inbox.epoch = epoch;
    client.reconnect();
    await settle();
    grace.notify({ title: "for grace, live" });
    await settle();
    assert.deepEqual([states.at(-1)?.state, states.at(-1)?.code, client.user], ["disconnected", 4503, null]);
    assert.deepEqual(client.inbox.items.map((row) => row.title), ["for ada"]);
  }
  assert.equal(grace.connections, 0);

  server = ada;
  client.reconnect();
  await settle();
  assert.equal(client.user?.username, "ada");
});

test("the `frame` event reports every frame, sent and received", async () => {
  const { server, client } = setUp();
  /** @type {Doorbell.TracedFrame[]} */
  const crossings = [];
  client.addEventListener("frame", (event) => crossings.push(/** @type {CustomEvent} */ (event).detail));
  await client.start();
  await settle();
  server.lose(1);
  server.notify({});
  server.heartbeat();
  await settle();
  assert.deepEqual(
    crossings.map(({ direction, frame }) => `${direction} ${frame?.type}`),
    ["in hello", "in presence_state", "in synced", "in heartbeat", "out resume", "in inbox", "in synced"],
  );
});

test("through a hundred random interruptions the state ends as a fresh read, each toast once", async (t) => {
  for (let seed = 1; seed <= 12; seed++) {
    const { next, chance, below, pick } = random(seed);
    t.mock.method(Math, "random", next); // the backoff's
    const { server, clock, client, toasts, same } = setUp();
    server.pageSize = 1 + below(4);
    await client.start();
    for (let step = 0; step < 100; step++) {
      const id = pick([...server.inbox.rows.keys()]) ?? 0;
      if (chance(0.15)) server.lose(1 + below(3));
      if (chance(0.15)) server.double(1 + below(3));
      if (chance(0.1)) server.shuffle(2 + below(3));
      pick([() => server.notify({}), () => server.notify({}, {}), () => server.read(id), () => server.remove(id)])?.();
      if (chance(0.05)) server.rotateEpoch();
      if (chance(0.1)) server.close(pick([1006, 1012, 4000, 4001, 4002]) ?? 1006);
      if (chance(0.2)) server.heartbeat();
      if (chance(0.05)) client.loadMore();
      if (chance(0.5)) await clock.advance(below(4_000));
    }
    server.lose(0);
    server.shuffle(0);
    for (let i = 0; i < 6; i++) {
      await clock.advance(25_000);
      server.heartbeat();
    }
    await clock.advance(1_000);
    same();
    assert.equal(new Set(toasts.map((row) => row.id)).size, toasts.length, `toasted twice, seed ${seed}`);
    client.stop();
  }
});

test("ids of users may be texts: they are compared as texts, and encoded in an address", async () => {
  const id = "o'b/é%s ?#😀";
  const server = new FakeServer({ user: { id, username: "ada" } });
  const options = { base: server.base, fetch: server.fetch, WebSocket: server.WebSocket, clock: new FakeClock() };
  const client = new DoorbellClient({ ...options, user: { id } });
  await client.start();
  await settle();
  assert.equal(client.state, "connected");
  assert.equal(client.user?.id, id);
  await assert.rejects(client.unblock(id), { status: 404 }); // the fake server has no blocks
  assert.equal(server.requests.at(-1), `DELETE blocks/${encodeURIComponent(id)}`);
  // A page may have an integer as text, from an attribute.
  const numbered = new FakeServer();
  const attributed = new DoorbellClient({ ...options, base: numbered.base, fetch: numbered.fetch, WebSocket: numbered.WebSocket, user: { id: "1" } });
  await attributed.start();
  await settle();
  assert.equal(attributed.state, "connected");
});
