import assert from "node:assert/strict";
import { test } from "node:test";

import { FakeBrowser } from "../../static/client/testing/fake-browser.js";
import { FakeClock, settle } from "../../static/client/testing/fake-clock.js";
import { FakeServer } from "../../static/client/testing/fake-server.js";
import { random } from "./random.mjs";
import "./seeded-jitter.mjs";

/** A browser with this many tabs; the first one leads. */
async function setUp(count = 2) {
  const server = new FakeServer();
  server.notify({ title: "old" });
  const clock = new FakeClock();
  const browser = new FakeBrowser(server, clock);
  for (let i = 0; i < count; i++) await open(browser);
  return { server, clock, browser, tabs: browser.tabs };
}

/** @param {FakeBrowser} browser */
async function open(browser) {
  await browser.clock.advance(10);
  const tab = browser.open();
  await settle();
  return tab;
}

/** @param {FakeBrowser} browser */
function assertSame(browser, hint = "") {
  const fresh = browser.server.inbox.list({ limit: Infinity });
  for (const { client, name } of browser.tabs) {
    const floor = client.inbox.next ?? -Infinity;
    assert.deepEqual(client.inbox.items, fresh.items.filter((row) => row.id >= floor), `${name} ${hint}`);
    assert.equal(client.inbox.unreadCount, fresh.unread_count, `${name} ${hint}`);
    assert.equal(client.inbox.revision, fresh.revision, `${name} ${hint}`);
    assert.equal(client.state, "connected", `${name} ${hint}`);
  }
}

/** @param {FakeBrowser} browser */
const toasted = (browser) => browser.tabs.map((tab) => tab.toasts.map((row) => row.title));

/** @param {FakeBrowser} browser */
const roles = (browser) => browser.tabs.map((tab) => tab.client.role);

test("three tabs share one socket and one request for the list", async () => {
  const { server, browser } = await setUp(3);
  server.notify({ title: "new" });
  await settle();
  assert.equal(server.handshakes.length, 1);
  assert.deepEqual(server.requests, ["GET notifications"]);
  assert.deepEqual(roles(browser), ["leader", "follower", "follower"]);
  assert.ok(browser.tabs.every(({ client }) => client.user?.username === "ada"));
  assertSame(browser);
});

test("a notification is toasted in the tab that was focused last, and in no other", async () => {
  const { server, clock, browser } = await setUp(3);
  server.notify({ title: "third" });
  await clock.advance(10);
  browser.tabs[1]?.show();
  server.notify({ title: "second" });
  await clock.advance(10);
  browser.tabs[1]?.hide();
  browser.tabs[2]?.hide();
  server.notify({ title: "first" });
  await settle();
  assert.deepEqual(toasted(browser), [["first"], ["second"], ["third"]]);
});

test("with no tab visible the leader gets the toast, and a tab that is shown later gets none", async () => {
  const { server, browser } = await setUp(2);
  for (const tab of browser.tabs) tab.hide();
  await settle();
  server.notify({ title: "unseen" });
  await settle();
  browser.tabs[1]?.show();
  await settle();
  assert.deepEqual(toasted(browser), [["unseen"], []]);
});

for (const end of /** @type {const} */ (["close", "crash", "freeze"])) {
  test(`when the leader is gone (${end}), the next tab takes over at once, from the tabs' position`, async () => {
    const { server, browser } = await setUp(3);
    const [first, second, third] = browser.tabs;
    first?.[end]();
    server.notify({ title: "between" });
    await settle();
    await settle();
    assert.equal(server.connections, 1);
    assert.equal(second?.client.role, "leader");
    assert.deepEqual([second?.toasts.length, third?.toasts.length], [0, 1]);
    assert.equal(server.handshakes.at(-1)?.url.searchParams.get("since"), "1");
    assert.deepEqual(server.requests, ["GET notifications"]);
    if (end !== "freeze") return assertSame(browser);
    await first?.wake();
    await settle();
    assertSame(browser);
    assert.equal(server.connections, 1);
  });
}

test("a hanging leader loses the lock within five seconds; running again it follows, and toasts nothing twice", async () => {
  for (const source of ["socket", "channel", "locks", "timers"]) {
    const { server, clock, browser } = await setUp(3);
    const [first, second] = browser.tabs;
    first?.show();
    await settle();
    first?.hang();
    server.notify({ title: "while it hangs" });
    await clock.advance(5_000);
    await settle();
    assert.notEqual(second?.client.role === "leader", browser.tabs[2]?.client.role === "leader");
    assert.equal(second?.client.inbox.unreadCount, 2);
    server.notify({ title: "and on" });
    await settle();
    await first?.wake((sources) => (sources.includes(source) ? [source] : sources));
    await settle();
    assert.equal(server.connections, 1, `first to wake: ${source}`);
    assert.equal(first?.client.role, "follower");
    assertSame(browser, source);
    assert.deepEqual(toasted(browser).flat().sort(), ["and on", "while it hangs"], source);
  }
});

test("a hanging follower has no effect on the other tabs", async () => {
  const { server, clock, browser } = await setUp(2);
  browser.tabs[1]?.hang();
  await clock.advance(60_000);
  server.heartbeat();
  await browser.tabs[1]?.wake();
  await clock.advance(5_000);
  assert.deepEqual(roles(browser), ["leader", "follower"]);
  assert.equal(server.handshakes.length, 2, "one more, after a minute without a heartbeat");
});

test("a hidden tab leaves the takeover to a visible one", async () => {
  const { clock, browser } = await setUp(3);
  browser.tabs[1]?.hide();
  browser.tabs[0]?.hang();
  await clock.advance(8_000);
  assert.deepEqual(roles(browser).slice(1), ["follower", "leader"]);
});

test("a follower marks and removes by its own requests, and all tabs agree", async () => {
  const { server, browser } = await setUp(2);
  server.notify({}, {});
  await settle();
  const follower = browser.tabs[1]?.client;
  await follower?.markRead(1, 2);
  assert.equal(follower?.inbox.unreadCount, 1);
  await follower?.remove(3);
  await settle();
  assertSame(browser);
});

test("after a reset the leader reads the list for all tabs", async () => {
  const { server, clock, browser } = await setUp(3);
  server.rotateEpoch();
  server.close(1012);
  server.notify({ title: "not a toast: it came with the list" });
  await clock.advance(5_000);
  assert.equal(server.requests.filter((call) => call === "GET notifications").length, 2);
  assertSame(browser);
  server.notify({ title: "and on" });
  await settle();
  assertSame(browser);
  assert.deepEqual(toasted(browser).flat(), ["and on"]);
});

test("a follower that missed a message requests a snapshot", async () => {
  const { server, browser } = await setUp(2);
  browser.channels.losing = 2; // the frame for the console, and the one to apply
  server.notify({});
  await settle();
  assert.equal(browser.tabs[1]?.client.inbox.revision, 1);
  server.notify({});
  await settle();
  assertSame(browser);
});

test("older pages that a tab has loaded stay, also with a new leader", async () => {
  const { server, browser } = await setUp(0);
  for (let i = 0; i < 80; i++) server.notify({});
  await open(browser);
  const reader = await open(browser);
  await reader.client.loadMore();
  assert.equal(reader.client.inbox.items.length, 81);
  browser.tabs[0]?.close();
  await settle();
  assert.equal(reader.client.inbox.items.length, 81);
});

test("signed out in any tab, all tabs stop and report it", async () => {
  const { server, clock, browser } = await setUp(3);
  server.close(4503, "signed out");
  await clock.advance(60_000);
  for (const { client } of browser.tabs) assert.deepEqual([client.state, client.user], ["disconnected", null]);
  assert.equal(server.handshakes.length, 1);
});

test("a tab that stops leaves the others connected", async () => {
  const { server, browser } = await setUp(2);
  browser.tabs[0]?.client.stop();
  await settle();
  assert.equal(browser.tabs[0]?.client.state, "disconnected");
  assert.equal(browser.tabs[1]?.client.role, "leader");
  assert.equal(server.connections, 1);
  browser.tabs[0]?.client.start();
  server.notify({});
  await settle();
  assertSame(browser);
});

test("any tab may request a new connection", async () => {
  const { server, browser } = await setUp(2);
  server.close(1006);
  await settle();
  assert.equal(browser.tabs[1]?.client.state, "connecting");
  browser.tabs[1]?.client.reconnect();
  await settle();
  assertSame(browser);
});

test("a refused start rejects in each tab, and stops it", async () => {
  const { server, clock, browser } = await setUp(0);
  server.failing = 401;
  await open(browser);
  await open(browser);
  await clock.advance(10_000);
  for (const tab of browser.tabs) {
    assert.equal(/** @type {any} */ (tab.refusal)?.status, 401);
    assert.equal(tab.client.state, "disconnected");
  }
});

test("a page resumed under another user's login neither reads that user's list nor joins their tabs", async () => {
  for (const user of [undefined, { id: 1 }]) {
    const { server, browser } = await setUp(0);
    const tab = browser.open({ user });
    await settle();
    tab.freeze();
    server.user = { id: 2, username: "grace" };
    server.notify({ title: "for grace" });
    /** @type {string[][]} */
    const lists = [];
    tab.client.addEventListener("change", () => lists.push(tab.client.inbox.items.map((row) => row.title)));
    browser.open({ user: undefined });
    await tab.wake();
    await settle();
    assert.equal(tab.client.state, "disconnected");
    assert.deepEqual([lists, tab.toasts], [[], []]);
    assert.equal(server.connections, 1);
  }
});

test("a truncated session answer stops no tab: the session is read again", async () => {
  const { server, clock, browser } = await setUp(0);
  server.cutting = 1;
  browser.open({ user: undefined });
  await clock.advance(10_000);
  assert.deepEqual(server.requests, ["GET session", "GET session", "GET notifications"]);
  assertSame(browser);
});

test("two users in one browser don't share, and `share: false` has a socket of its own", async () => {
  const { server, browser } = await setUp(1);
  browser.open({ user: { id: 2 }, base: "http://other.test" });
  const own = browser.open({ share: false });
  await settle();
  assert.equal(own.client.role, "alone");
  assert.equal(server.handshakes.length, 3);
});

test("where locks are refused each tab has a socket of its own", async () => {
  const { server, browser } = await setUp(0);
  browser.locks.refusal = new DOMException("Not in a sandbox.", "SecurityError");
  await open(browser);
  await open(browser);
  assert.deepEqual(roles(browser), ["alone", "alone"]);
  assert.equal(server.connections, 2);
  assertSame(browser);
});

test("when another user has signed in meanwhile, no tab shows their notifications", async () => {
  const { server, clock, browser } = await setUp(2);
  server.user = { id: 2, username: "grace" };
  server.close(1012);
  server.notify({ title: "for grace" });
  await clock.advance(30_000);
  for (const tab of browser.tabs) {
    assert.equal(tab.client.state, "disconnected");
    assert.deepEqual(tab.toasts, []);
    assert.deepEqual(tab.client.inbox.items.map((row) => row.title), ["old"]);
  }
  assert.equal(server.connections, 0);
});

test("without a `user` option the session is read, once per tab, and its user's tabs share", async () => {
  const { server, browser } = await setUp(0);
  browser.open({ user: undefined });
  await settle();
  browser.open({ user: undefined });
  await settle();
  assert.deepEqual(server.requests, ["GET session", "GET notifications", "GET session"]);
  assert.deepEqual(roles(browser), ["leader", "follower"]);
});

test("while no tab hangs or crashes there is exactly one toast for each notification", async (t) => {
  for (let seed = 1; seed <= 8; seed++) {
    const { next, chance, pick } = random(seed);
    t.mock.method(Math, "random", next); // the backoff's
    const { server, clock, browser } = await setUp(1);
    const all = new Set(browser.tabs);
    for (let step = 0; step < 60; step++) {
      const tab = pick(browser.tabs);
      if (browser.tabs.length < 5 && chance(0.3)) all.add(browser.open());
      else if (chance(0.3) && browser.tabs.length > 1) tab?.close();
      else if (chance(0.5)) chance(0.5) ? tab?.show() : tab?.hide();
      if (chance(0.1)) server.close(pick([1006, 1012, 4000]) ?? 1006);
      if (chance(0.1)) server.lose(1);
      if (chance(0.1)) server.double(1);
      server.notify({});
      await clock.advance(chance(0.5) ? 0 : 1_800);
    }
    server.lose(0);
    for (let i = 0; i < 3; i++) {
      await clock.advance(25_000);
      server.heartbeat();
    }
    await settle();
    assertSame(browser, `seed ${seed}`);
    const ids = [...all].flatMap((tab) => tab.toasts.map((row) => row.id)).sort((a, b) => a - b);
    assert.deepEqual(ids, [...server.inbox.rows.keys()].slice(1), `seed ${seed}`);
    for (const tab of [...browser.tabs]) tab.crash();
  }
});

test("however tabs are opened, closed, hung and woken: one socket, every tab equal to the server, every toast once", async (t) => {
  for (let seed = 1; seed <= 12; seed++) {
    const { next, chance, below, pick, shuffle } = random(seed);
    t.mock.method(Math, "random", next); // the backoff's
    const { server, clock, browser } = await setUp(1);
    /** Every tab there ever was. */
    const all = new Set(browser.tabs);
    const running = () => browser.tabs.filter((tab) => tab.isRunning);
    for (let step = 0; step < 60; step++) {
      const tab = pick(running());
      if (browser.tabs.length < 5 && chance(0.25)) all.add(browser.open());
      else if (chance(0.15)) tab?.hang();
      else if (chance(0.1)) tab?.freeze();
      else if (chance(0.1) && running().length > 1) (chance(0.5) ? tab?.close() : tab?.crash());
      else if (chance(0.3)) await pick(browser.tabs.filter((other) => !other.isRunning))?.wake(shuffle);
      else if (chance(0.4)) chance(0.5) ? tab?.show() : tab?.hide();
      if (chance(0.1)) server.close(pick([1006, 1012, 4000]) ?? 1006);
      if (chance(0.1)) server.lose(1);
      const id = pick([...server.inbox.rows.keys()]) ?? 0;
      pick([() => server.notify({}), () => server.notify({}, {}), () => server.read(id), () => server.remove(id)])?.();
      await clock.advance(below(3) * 900);
    }
    server.lose(0);
    for (const tab of browser.tabs) await tab.wake(shuffle);
    for (let i = 0; i < 4; i++) {
      await clock.advance(12_000);
      server.heartbeat();
    }
    await settle();
    assert.equal(server.connections, 1, `sockets, seed ${seed}`);
    assert.equal(roles(browser).filter((role) => role === "leader").length, 1, `seed ${seed}`);
    assertSame(browser, `seed ${seed}`);
    const ids = [...all].flatMap((tab) => tab.toasts.map((row) => row.id));
    assert.equal(new Set(ids).size, ids.length, `toasted twice, seed ${seed}`);
    for (const tab of [...browser.tabs]) tab.crash();
  }
});
