import assert from "node:assert/strict";
import { test } from "node:test";

import { Http } from "../client/http.js";
import { chooseLine } from "../client/lines.js";
import { FakeViewer } from "../client/testing/fake-browser.js";
import { FakeChannels } from "../client/testing/fake-channels.js";
import { FakeClock, settle } from "../client/testing/fake-clock.js";
import { FakeLocks } from "../client/testing/fake-locks.js";
import { FakeServer } from "../client/testing/fake-server.js";
import { Loop } from "./sharing.mjs";

/**
 * @param {Doorbell.ClientOptions} [options]
 * @param {{isTheirs?: (id: number) => boolean}} [client]
 */
function setUp(options = {}, { isTheirs = () => true } = {}) {
  const server = new FakeServer();
  const clock = new FakeClock();
  const locks = new FakeLocks();
  const loop = new Loop("tab");
  /** @type {Set<string>} */
  const names = new Set();
  const channels = new FakeChannels().seenFrom(loop);
  const BroadcastChannel = /** @type {any} */ (
    class extends channels {
      /** @param {string} name */
      constructor(name) {
        super(name);
        names.add(name);
      }
    }
  );
  const viewer = new FakeViewer();
  const http = new Http({ base: server.base, token: options.token, fetch: server.fetch });
  const line = chooseLine(
    {
      base: server.base,
      user: { id: 1 },
      share: true,
      WebSocket: server.WebSocket,
      clock,
      locks: locks.seenFrom(loop),
      BroadcastChannel,
      viewer,
      ...options,
      http,
    },
    { position: () => null, snapshot: () => null, recognise: isTheirs },
  );
  return { server, locks, names: () => [...names], viewer, line };
}

test("lock and channel are named by the version of the messages, the server and the user", async () => {
  const { line, names, locks } = setUp();
  line.start();
  await settle();
  assert.equal(names().length, 1);
  assert.match(names()[0] ?? "", /^doorbell\/\d+ http:\/\/doorbell\.test 1$/);
  assert.equal(locks.holder(names()[0] ?? ""), "tab");
  assert.equal(line.role, "leader");
});

for (const [reason, options] of /** @type {[string, Doorbell.ClientOptions][]} */ ([
  ["without locks", { locks: /** @type {any} */ (null) }],
  ["without channels", { BroadcastChannel: /** @type {any} */ (null) }],
  ["when it isn't to share", { share: false }],
  ["with a token whose user nobody has said", { token: "secret", user: undefined }],
])) {
  test(`${reason} a tab is alone from the start`, async () => {
    const { line, names } = setUp(options);
    assert.equal(line.role, "alone");
    line.start();
    await settle();
    assert.deepEqual(names(), []);
  });
}

test("who is there is asked only if nobody has said", async () => {
  const told = setUp();
  told.line.start();
  const asking = setUp({ user: undefined });
  asking.line.start();
  await settle();
  assert.ok(!told.server.requests.includes("GET session"));
  assert.equal(asking.server.requests[0], "GET session");
  assert.deepEqual(asking.names(), told.names());
});

test("nobody signed in is a refusal", async () => {
  const { server, line, names } = setUp({ user: undefined });
  server.user = /** @type {any} */ (null);
  /** @type {any[]} */
  const errors = [];
  line.addEventListener("error", (event) => errors.push(/** @type {CustomEvent} */ (event).detail.status));
  line.start();
  await settle();
  assert.deepEqual([errors, names()], [[401], []]);
});

test("back from the back/forward cache the cookie's user is asked again; a token's can't have changed", async () => {
  for (const [token, requests] of /** @type {const} */ ([[undefined, 1], ["secret", 0]])) {
    const { server, line, viewer } = setUp({ token });
    line.start();
    await settle();
    viewer.dispatchEvent(new Event("leave"));
    viewer.dispatchEvent(new Event("return"));
    await settle();
    assert.equal(server.requests.filter((call) => call === "GET session").length, requests);
  }
});

test("where the page's inbox is somebody else's, it joins nobody", async () => {
  /** @type {number[]} */
  const asked = [];
  const { line, names } = setUp({}, { isTheirs: (id) => (asked.push(id), false) });
  line.start();
  await settle();
  assert.deepEqual([asked, names()], [[1], []]);
});
