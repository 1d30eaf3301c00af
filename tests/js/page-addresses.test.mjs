import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "../../static/client/connect.js";
import { Http } from "../../static/client/http.js";
import { pageAddresses } from "../../static/client/page-addresses.js";
import { socketUrl } from "../../static/client/protocol.js";
import "./seeded-jitter.mjs";

/** A page with this text where {% doorbell %} writes the addresses. @param {string | null} textContent */
const page = (textContent) => /** @type {any} */ ({ querySelector: () => (textContent === null ? null : { textContent }) });

const PREFIXED = { api: "/notify/api/v1/", socket: "/notify/ws/notifications/" };

test("the addresses are those that the page names", () => {
  assert.deepEqual(pageAddresses(page(JSON.stringify(PREFIXED))), PREFIXED);
  assert.deepEqual(pageAddresses(page(JSON.stringify({ ...PREFIXED, more: 1 }))), PREFIXED);
});

test("a page without them, or with something else, leaves the default ones", () => {
  for (const text of [null, "", "{", "null", "[]", "{}", '{"api": 1, "socket": 2}']) assert.deepEqual(pageAddresses(page(text)), {});
  assert.deepEqual(pageAddresses(/** @type {any} */ (undefined)), {});
});

test("only paths count: nothing in a page sends a client to another origin", () => {
  for (const api of ["https://evil.test/", "//evil.test/", "/\\evil.test/", "evil/", "javascript:alert(1)"]) {
    assert.deepEqual(pageAddresses(page(JSON.stringify({ ...PREFIXED, api }))), {}, api);
    assert.deepEqual(pageAddresses(page(JSON.stringify({ ...PREFIXED, socket: api }))), {}, api);
  }
});

test("requests and sockets go there", async () => {
  /** @type {string[]} */
  const urls = [];
  const fetch = async (/** @type {any} */ url) => (urls.push(String(url)), new Response("{}"));
  await new Http({ ...PREFIXED, fetch }).get("notifications");
  assert.deepEqual(urls, ["/notify/api/v1/notifications"]);
  assert.equal(socketUrl("https://shop.test", null, PREFIXED.socket), "wss://shop.test/notify/ws/notifications/");
  assert.equal(socketUrl("https://shop.test", null), "wss://shop.test/ws/notifications/");
});

test("a client of another server asks that server's default addresses, whatever the page names", async () => {
  /** @type {string[]} */
  const urls = [];
  const fetch = async (/** @type {any} */ url) => (urls.push(String(url)), new Response("{}", { status: 401 }));
  const before = Object.getOwnPropertyDescriptor(globalThis, "document");
  Object.defineProperty(globalThis, "document", { value: page(JSON.stringify(PREFIXED)), configurable: true });
  try {
    const options = { token: "secret", share: false, fetch, WebSocket: /** @type {any} */ (class {}) };
    connect({ base: "https://elsewhere.test", ...options });
    connect(options);
    await new Promise((done) => setTimeout(done));
  } finally {
    if (before) Object.defineProperty(globalThis, "document", before);
    else Reflect.deleteProperty(globalThis, "document");
  }
  assert.deepEqual(urls.map((url) => url.split("?")[0]), ["https://elsewhere.test/api/v1/notifications", "/notify/api/v1/notifications"]);
});
