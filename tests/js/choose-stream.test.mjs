import assert from "node:assert/strict";
import { test } from "node:test";

import { Http } from "../../static/client/http.js";
import { chooseStream } from "../../static/client/choose-stream.js";
import { FakePageLifecycle } from "../../static/client/testing/fake-browser.js";
import { FakeChannels } from "../../static/client/testing/fake-channels.js";
import { FakeClock, settle } from "../../static/client/testing/fake-clock.js";
import { FakeLocks } from "../../static/client/testing/fake-locks.js";
import { FakeServer } from "../../static/client/testing/fake-server.js";
import { Loop } from "./fake-tabs.mjs";
import "./seeded-jitter.mjs";

/**
 * @param {Doorbell.ClientOptions} [options]
 * @param {{isOwner?: (id: string | number) => boolean}} [client]
 */
function setUp(options = {}, { isOwner = () => true } = {}) {
  const server = new FakeServer();
  const clock = new FakeClock();
  const locks = new FakeLocks();
  const loop = new Loop("tab");
  /** @type {Set<string>} */
  const names = new Set();
  const channels = new FakeChannels().forTab(loop);
  const BroadcastChannel = /** @type {any} */ (
    class extends channels {
      /** @param {string} name */
      constructor(name) {
        super(name);
        names.add(name);
      }
    }
  );
  const lifecycle = new FakePageLifecycle();
  const http = new Http({ base: server.base, token: options.token, fetch: server.fetch });
  const stream = chooseStream(
    {
      base: server.base,
      user: { id: 1 },
      share: true,
      WebSocket: server.WebSocket,
      clock,
      locks: locks.forTab(loop),
      BroadcastChannel,
      lifecycle,
      ...options,
      http,
    },
    { position: () => null, snapshot: () => null, verifyUser: isOwner },
  );
  return { server, locks, names: () => [...names], lifecycle, stream };
}

test("the name of lock and channel has the version of the messages, the server and the user", async () => {
  const { stream, names, locks } = setUp();
  stream.start();
  await settle();
  assert.equal(names().length, 1);
  assert.match(names()[0] ?? "", /^doorbell\/\d+ http:\/\/doorbell\.test 1$/);
  assert.equal(locks.holder(names()[0] ?? ""), "tab");
  assert.equal(stream.role, "leader");
});

test("of several installations behind one origin each has a name of its own", async () => {
  const named = async (/** @type {string} */ api) => {
    const { stream, names } = setUp({ api });
    stream.start();
    await settle();
    return names()[0]?.replace(/^doorbell\/\d+ /, "");
  };
  assert.equal(await named("/shop/api/v1/"), "http://doorbell.test/shop/api/v1/ 1");
  // By the name that pages without the option have.
  assert.equal(await named("/api/v1/"), "http://doorbell.test 1");
});

for (const [reason, options] of /** @type {[string, Doorbell.ClientOptions][]} */ ([
  ["without locks", { locks: /** @type {any} */ (null) }],
  ["without channels", { BroadcastChannel: /** @type {any} */ (null) }],
  ["with `share: false`", { share: false }],
  ["with a token and no `user`", { token: "secret", user: undefined }],
])) {
  test(`${reason} a tab is alone from the start`, async () => {
    const { stream, names } = setUp(options);
    assert.equal(stream.role, "alone");
    stream.start();
    await settle();
    assert.deepEqual(names(), []);
  });
}

test("the session is read only without a `user` option", async () => {
  const given = setUp();
  given.stream.start();
  const reading = setUp({ user: undefined });
  reading.stream.start();
  await settle();
  assert.ok(!given.server.requests.includes("GET session"));
  assert.equal(reading.server.requests[0], "GET session");
  assert.deepEqual(reading.names(), given.names());
});

test("without a signed-in user the start is refused", async () => {
  const { server, stream, names } = setUp({ user: undefined });
  server.user = /** @type {any} */ (null);
  /** @type {any[]} */
  const errors = [];
  stream.addEventListener("error", (event) => errors.push(/** @type {CustomEvent} */ (event).detail.status));
  stream.start();
  await settle();
  assert.deepEqual([errors, names()], [[401], []]);
});

test("back from the back/forward cache the session is read again with a cookie, but not with a token, whose user can't change", async () => {
  for (const [token, requests] of /** @type {const} */ ([[undefined, 1], ["secret", 0]])) {
    const { server, stream, lifecycle } = setUp({ token });
    stream.start();
    await settle();
    lifecycle.dispatchEvent(new Event("suspend"));
    lifecycle.dispatchEvent(new Event("resume"));
    await settle();
    assert.equal(server.requests.filter((call) => call === "GET session").length, requests);
  }
});

test("a tab whose inbox belongs to another user doesn't join", async () => {
  /** @type {(string | number)[]} */
  const verified = [];
  const { stream, names } = setUp({}, { isOwner: (id) => (verified.push(id), false) });
  stream.start();
  await settle();
  assert.deepEqual([verified, names()], [[1], []]);
});
