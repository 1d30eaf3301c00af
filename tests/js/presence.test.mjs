import assert from "node:assert/strict";
import { test } from "node:test";

import { PresenceMap } from "../../static/client/presence.js";

/** @param {Doorbell.UserId} id @param {boolean} is_online @param {number} version @returns {Doorbell.Presence} */
const entry = (id, is_online, version) => ({ user: { id, username: `user${id}` }, is_online, last_seen: null, version });
/** @param {PresenceMap} presence */
const online = (presence) => [...presence].filter(({ is_online }) => is_online).map(({ user }) => user.id);

test("an entry whose version isn't higher is ignored", () => {
  const presence = new PresenceMap();
  assert.equal(presence.merge([entry(1, true, 3)]), true);
  assert.equal(presence.merge([entry(1, false, 3), entry(1, false, 2)]), false);
  assert.equal(presence.isOnline(1), true);
  assert.equal(presence.apply({ type: "presence", ...entry(1, false, 4) }), true);
  assert.equal(presence.isOnline(1), false);
  assert.equal(presence.isOnline(99), false, "unknown user");
});

test("presence_state is current, whatever versions are known", () => {
  const presence = new PresenceMap();
  presence.merge([entry(1, true, 50), entry(2, true, 50), entry(3, false, 50)]);
  presence.apply({ type: "presence_state", online: [entry(1, true, 2), entry(3, true, 1)] });
  assert.deepEqual(online(presence).sort(), [1, 3]);
  assert.equal(presence.get(2)?.is_online, false, "went offline while there was no connection; the contact stays known");
});

test("restore replaces all entries", () => {
  const presence = new PresenceMap();
  presence.merge([entry(1, true, 5)]);
  presence.restore([entry(2, true, 1)]);
  assert.deepEqual([online(presence), presence.get(1)], [[2], undefined]);
});

test("other frames change nothing", () => {
  assert.equal(new PresenceMap().apply({ type: "synced", revision: 1, unread_count: 0 }), false);
});

test("ids may be texts, and a page's attribute finds a number", () => {
  const presence = new PresenceMap();
  const [uuid, odd] = ["7d444840-9dc0-11d1-b245-5ffdce74fad2", "Ünal/b o'b@x.org"];
  presence.merge([entry(uuid, true, 1), entry(odd, true, 1), entry("9007199254740993", false, 1), entry(7, true, 1)]);
  presence.apply({ type: "presence_state", online: [entry(odd, true, 1), entry("9007199254740993", true, 2)] });
  assert.deepEqual(online(presence), [odd, "9007199254740993"]);
  assert.deepEqual([presence.isOnline(uuid), presence.isOnline(odd)], [false, true]);
  assert.equal(presence.get("7")?.user.id, 7);
  assert.equal(presence.get("9007199254740992"), undefined, "a neighbour that a number would be rounded to");
});
