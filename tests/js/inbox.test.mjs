import assert from "node:assert/strict";
import { test } from "node:test";

import { Inbox } from "../../static/client/inbox.js";
import { FakeInbox } from "../../static/client/testing/fake-inbox.js";
import { random } from "./random.mjs";

/** @param {FakeInbox} server */
function loaded(server, limit = 50) {
  const inbox = new Inbox();
  inbox.load(server.list({ limit }));
  return inbox;
}

/**
 * @param {Inbox} inbox
 * @param {FakeInbox} server
 */
function assertSame(inbox, server, hint = "") {
  const fresh = server.list({ limit: Infinity });
  const floor = inbox.next ?? -Infinity;
  assert.deepEqual(inbox.items, fresh.items.filter((row) => row.id >= floor), hint);
  assert.equal(inbox.unreadCount, fresh.unread_count, hint);
  assert.equal(inbox.revision, fresh.revision, hint);
}

test("a live frame brings the notification, the count and one toast", () => {
  const server = new FakeInbox();
  const inbox = loaded(server);
  const change = inbox.apply(server.add([{ title: "Hello" }]));
  assert.deepEqual(change?.toasts.map((row) => row.title), ["Hello"]);
  assertSame(inbox, server);
});

test("applying a frame twice changes nothing and toasts nothing", () => {
  const server = new FakeInbox();
  const inbox = loaded(server);
  const frame = server.add([{}]);
  inbox.apply(frame);
  assert.deepEqual(inbox.apply(frame)?.toasts, []);
  assertSame(inbox, server);
});

test("a frame older than the list changes nothing", () => {
  const server = new FakeInbox();
  const frames = [server.add([{}]), server.setRead([1], true), server.remove([1])];
  const inbox = loaded(server);
  for (const frame of frames) if (frame) assert.deepEqual(inbox.apply(frame)?.toasts, []);
  assertSame(inbox, server);
});

test("a live frame that would leave a gap is refused", () => {
  const server = new FakeInbox();
  const inbox = loaded(server);
  server.add([{}]);
  assert.equal(inbox.apply(server.add([{}])), null);
  assert.equal(inbox.revision, 0);
});

test("a replay toasts rows that are unread and unknown, not read or known ones", () => {
  const server = new FakeInbox();
  server.add([{ title: "known" }]);
  const inbox = loaded(server);
  server.setRead([1], true);
  server.setRead([1], false);
  server.add([{ title: "read elsewhere" }]);
  server.setRead([2], true);
  server.add([{ title: "missed" }]);
  const toasts = server.replay(inbox.revision).flatMap((frame) => inbox.apply(frame)?.toasts ?? []);
  assert.deepEqual(toasts.map((row) => row.title), ["missed"]);
});

test("a presence-like notification is created as read: it toasts when live, not from a replay", () => {
  const server = new FakeInbox();
  const inbox = loaded(server);
  const live = server.add([{ notification_type: "user_online", is_read: true }]);
  assert.equal(inbox.apply(live)?.toasts.length, 1);
  server.add([{ notification_type: "user_online", is_read: true }]);
  assert.deepEqual(server.replay(1).flatMap((frame) => inbox.apply(frame)?.toasts ?? []), []);
});

test("rows outside the loaded window are ignored until their page is loaded, also in a replay", () => {
  const server = new FakeInbox();
  for (let i = 0; i < 10; i++) server.add([{}]);
  const inbox = loaded(server, 3);
  server.setRead([2], true);
  server.setRead([2], false);
  assert.deepEqual(server.replay(10).flatMap((frame) => inbox.apply(frame)?.toasts ?? []), []);
  assert.deepEqual(inbox.items.map((row) => row.id), [10, 9, 8]);
});

test("frames that arrive while an older page is read are applied to it", async () => {
  const server = new FakeInbox();
  for (let i = 0; i < 6; i++) server.add([{}]);
  const inbox = loaded(server, 3);
  await inbox.extend(async () => {
    const page = server.list({ before: 4 });
    for (const frame of [server.setRead([2], true), server.remove([3])]) if (frame) inbox.apply(frame);
    return page;
  });
  assertSame(inbox, server);
  assert.equal(inbox.next, null);
});

test("a page that was requested before a reset is discarded", async () => {
  const server = new FakeInbox();
  for (let i = 0; i < 6; i++) server.add([{}]);
  const inbox = loaded(server, 3);
  await inbox.extend(async () => {
    const page = server.list({ before: 4 });
    server.setRead([2], true);
    inbox.load(server.list({ limit: 3 }));
    return page;
  });
  assert.equal(inbox.get(2), undefined);
});

test("the answer of a call is applied at once, unless frames have brought a newer revision", () => {
  const server = new FakeInbox();
  server.add([{}, {}]);
  const inbox = loaded(server);
  const read = server.setRead([1], true);
  const answer = { revision: server.revision, unread_count: server.unreadCount, ids: [1] };
  inbox.applyAnswer(answer, true);
  assert.equal(inbox.unreadCount, 1);
  const unread = server.setRead([1], false);
  for (const frame of [read, unread]) if (frame) inbox.apply(frame);
  inbox.applyAnswer(answer, true);
  assertSame(inbox, server);
});

test("with answers in reverse order the newest count stays, and both rows are read", () => {
  const server = new FakeInbox();
  server.add([{}, {}, {}]);
  const inbox = loaded(server);
  const [first, second] = [1, 2].map((id) => {
    server.setRead([id], true);
    return { revision: server.revision, unread_count: server.unreadCount, ids: [id] };
  });
  for (const answer of [second, first]) if (answer) inbox.applyAnswer(answer, true);
  assert.equal(inbox.unreadCount, 1);
  assert.deepEqual(inbox.items.map((row) => row.is_read), [false, true, true]);
  // A new list replaces the state, also with a lower revision.
  inbox.load({ ...server.list(), epoch: "e2", revision: 1 });
  inbox.applyAnswer({ revision: 2, unread_count: 7, ids: [] }, true);
  assert.equal(inbox.unreadCount, 7);
});

test("list + frames == a fresh read, whatever is duplicated, shuffled, lost or replayed", () => {
  for (let seed = 1; seed <= 400; seed++) {
    const { chance, below, pick, shuffle } = random(seed);
    const server = new FakeInbox();
    for (let i = below(8); i > 0; i--) server.add([{}]);
    const inbox = loaded(server, chance(0.5) ? 3 : 50);
    /** @type {Doorbell.InboxFrame[]} */
    const inFlight = [];
    /** @type {Map<number, number>} */
    const toasted = new Map();
    const apply = (/** @type {Doorbell.Frame} */ frame) => {
      const change = inbox.apply(frame);
      for (const row of change?.toasts ?? []) toasted.set(row.id, (toasted.get(row.id) ?? 0) + 1);
      return change !== null;
    };
    const resume = () => {
      for (const frame of server.replay(inbox.revision, 1 + below(3))) assert.ok(apply(frame));
      apply({ type: "synced", revision: server.revision, unread_count: server.unreadCount });
    };

    for (let step = 0; step < 60; step++) {
      const ids = [pick([...server.rows.keys()]) ?? 0, pick([...server.rows.keys()]) ?? 0];
      const frame = pick([
        () => server.add([{}]),
        () => server.add([{}, { is_read: chance(0.3) }]),
        () => server.setRead(ids, true),
        () => server.setRead(ids, false),
        () => server.remove(ids),
      ])?.();
      if (frame && chance(0.9)) inFlight.push(frame);
      if (frame && chance(0.2)) inFlight.push(frame);
      if (chance(0.1)) shuffle(inFlight);
      if (chance(0.3)) for (const next of inFlight.splice(0)) if (!apply(next)) resume();
      if (chance(0.05)) resume();
      if (chance(0.03)) inbox.load(server.list({ limit: 3 }));
    }
    for (const next of inFlight) if (!apply(next)) resume();
    resume();
    assertSame(inbox, server, `seed ${seed}`);
    assert.ok([...toasted.values()].every((count) => count === 1), `toasted twice, seed ${seed}`);
  }
});
