import assert from "node:assert/strict";
import { test } from "node:test";

import { FakeClock, settle } from "../../static/client/testing/fake-clock.js";
import { follow } from "../../static/toast/follow.js";
import { initials } from "../../static/elements/initials.js";
import { safeUrl } from "../../static/elements/safe-url.js";
import { ToastStack } from "../../static/toast/stack.js";
import { relativeTime } from "../../static/elements/relative-time.js";

function setUp() {
  const clock = new FakeClock();
  let changes = 0;
  const stack = new ToastStack({ onChange: () => changes++, clock });
  const ids = () => stack.visible.map((toast) => toast.id);
  return { clock, stack, ids, changes: () => changes };
}

test("the newest is on top, five are shown, the rest is counted", () => {
  const { stack, ids } = setUp();
  for (let id = 1; id <= 9; id++) stack.show({ id, title: "x" });
  assert.deepEqual(ids(), [9, 8, 7, 6, 5]);
  assert.equal(stack.more, 4);
  stack.dismiss(9);
  assert.deepEqual(ids(), [8, 7, 6, 5, 4]);
});

test("a toast closes by itself after eight seconds, an error after sixteen", async () => {
  const { clock, stack, ids } = setUp();
  stack.show({ id: 1, title: "x" });
  stack.show({ id: 2, title: "x", level: "error" });
  await clock.advance(8_000);
  assert.deepEqual(ids(), [2]);
  await clock.advance(8_000);
  assert.deepEqual(ids(), []);
});

test("the timers pause while the user reads, also for toasts that are shown meanwhile", async () => {
  const { clock, stack, ids } = setUp();
  stack.show({ id: 1, title: "x" });
  await clock.advance(6_000);
  stack.pause();
  stack.pause();
  stack.show({ id: 2, title: "x" });
  await clock.advance(60_000);
  assert.deepEqual(ids(), [2, 1]);
  stack.resume();
  await clock.advance(2_000);
  assert.deepEqual(ids(), [2]);
  await clock.advance(6_000);
  assert.deepEqual(ids(), []);
});

test("a second toast with the same id replaces the first and restarts its timer", async () => {
  const { clock, stack } = setUp();
  stack.show({ id: 1, title: "old" });
  await clock.advance(5_000);
  stack.show({ id: 1, title: "new" });
  await clock.advance(5_000);
  assert.deepEqual(stack.visible.map((toast) => toast.title), ["new"]);
  await clock.advance(3_000);
  assert.equal(stack.visible.length, 0);
});

test("a toast of the same group and type takes the other's place, with a new timer; one that isn't shown doesn't", async () => {
  const { clock, stack, ids } = setUp();
  const comment = { title: "x", group: "page:7", notification_type: "comment" };
  stack.show({ ...comment, id: 1 });
  stack.show({ id: 2, title: "x" });
  await clock.advance(5_000);
  stack.show({ ...comment, id: 3 });
  assert.deepEqual(ids(), [2, 3]);
  stack.dismiss(1);
  await clock.advance(5_000);
  assert.deepEqual(ids(), [3]);
  stack.show({ ...comment, id: 4, group: "page:8" });
  stack.show({ ...comment, id: 5, notification_type: "like" });
  stack.show({ ...comment, id: 6, group: null });
  stack.show({ ...comment, id: 7, group: null });
  assert.deepEqual(ids(), [7, 6, 5, 4, 3]);
  stack.show({ id: 8, title: "x" });
  stack.show({ ...comment, id: 9 });
  assert.deepEqual([ids(), stack.more], [[9, 8, 7, 6, 5], 2], "3 is below the fold: what is new must be seen");
  stack.show({ ...comment, id: 9, title: "again" });
  assert.deepEqual([ids(), stack.more], [[9, 8, 7, 6, 5], 2]);
  await clock.advance(60_000);
  assert.deepEqual([ids(), stack.more], [[], 0]);
});

test("of a group, the toast that comes with the removal of another takes its place", async () => {
  const { stack, ids } = setUp();
  const toasts = /** @type {any} */ (Object.assign(new EventTarget(), {
    show: (/** @type {any} */ toast) => stack.show(toast),
    dismiss: (/** @type {number} */ id) => stack.dismiss(id),
  }));
  const client = Object.assign(new EventTarget(), { inbox: { items: [] }, markRead: async () => {} });
  const fire = (/** @type {string} */ type, /** @type {unknown} */ detail) => client.dispatchEvent(new CustomEvent(type, { detail }));
  follow(toasts, client);
  for (const [id, group] of [[1, "page:7"], [2, null]]) fire("toast", { id, group, title: "x", notification_type: "comment" });
  // As the client fires them for one frame.
  fire("change", { read: [], removed: [1] });
  fire("toast", { id: 3, group: "page:7", title: "x", notification_type: "comment" });
  await settle();
  assert.deepEqual(ids(), [2, 3]);
});

test("dismissing an unknown id changes nothing", () => {
  const { stack, changes } = setUp();
  stack.dismiss("unknown");
  assert.equal(changes(), 0);
});

test("only http(s) and relative URLs become links", () => {
  const page = "https://doorbell.test/inbox/";
  assert.equal(safeUrl("/a?b#c", page), "https://doorbell.test/a?b#c");
  assert.equal(safeUrl("item", page), "https://doorbell.test/inbox/item");
  assert.equal(safeUrl("https://other.test/", page), "https://other.test/");
  for (const url of [null, undefined, "", "javascript:alert(1)", " JaVaScRiPt:alert(1)", "java\nscript:alert(1)"]) {
    assert.equal(safeUrl(url, page), null, String(url));
  }
  for (const url of ["data:text/html,x", "vbscript:x", "blob:https://a.test/1", "file:///etc/passwd", "http://"]) {
    assert.equal(safeUrl(url, page), null, url);
  }
});

test("up to two initials, and relative times", () => {
  assert.deepEqual(["ada", "Ada Lovelace", "grace.hopper-1", "émile", "", "😀 x"].map(initials), ["A", "AL", "GH", "É", "", "😀X"]);
  const now = Date.parse("2026-01-02T12:00:00Z");
  assert.equal(relativeTime("2026-01-02T11:59:30Z", now), "just now");
  assert.equal(relativeTime("2026-01-02T11:55:00Z", now), "5 min. ago");
  assert.equal(relativeTime("2026-01-02T09:00:00Z", now), "3 hr. ago");
  assert.equal(relativeTime("2026-01-01T11:00:00Z", now), "yesterday");
});

test("follow shows what is new, closes what was read or removed anywhere, and marks as read what is opened", async () => {
  /** @type {any[][]} */
  const [shown = [], dismissed = [], marked = [], errors = []] = [];
  const toasts = /** @type {any} */ (Object.assign(new EventTarget(), {
    show: (/** @type {{id: number}} */ { id }) => shown.push(id),
    dismiss: (/** @type {number} */ id) => dismissed.push(id),
  }));
  toasts.addEventListener("notification-error", (/** @type {CustomEvent} */ { detail }) => errors.push(detail));
  const client = Object.assign(new EventTarget(), {
    inbox: { items: [{ id: 1, is_read: false }, { id: 2, is_read: true }] },
    markRead: async (/** @type {number} */ id) => (marked.push(id), Promise.reject("no")),
  });
  const fire = (/** @type {EventTarget} */ target, /** @type {string} */ type, /** @type {unknown} */ detail) =>
    target.dispatchEvent(new CustomEvent(type, { detail }));

  const unfollow = follow(toasts, client);
  fire(client, "toast", { id: 1, title: "x" });
  fire(client, "change", { read: [2], removed: [3] });
  for (const id of [1, 2, "the page's own"]) fire(toasts, "toast-open", { id, title: "x" });
  await settle();
  assert.deepEqual([shown, dismissed, marked, errors], [[1], [2, 3], [1], ["no"]]);

  unfollow();
  fire(client, "toast", { id: 4, title: "x" });
  fire(toasts, "toast-open", { id: 1, title: "x" });
  assert.deepEqual([shown, marked], [[1], [1]]);
});

test("follow shows what `decorate` returns for a notification", () => {
  /** @type {DoorbellToast.Toast[]} */
  const shown = [];
  const toasts = /** @type {any} */ (Object.assign(new EventTarget(), { show: (/** @type {any} */ toast) => shown.push(toast), dismiss() {} }));
  const client = Object.assign(new EventTarget(), { inbox: { items: [] }, markRead: async () => {} });
  follow(toasts, client, { decorate: (toast) => ({ ...toast, url: "/orders/7", action: "Show" }) });
  client.dispatchEvent(new CustomEvent("toast", { detail: { id: 1, title: "x" } }));
  assert.deepEqual(shown, [{ id: 1, title: "x", url: "/orders/7", action: "Show" }]);
});

test("what `decorate` answers with null isn't shown", () => {
  /** @type {number[]} */
  const shown = [];
  const toasts = /** @type {any} */ (Object.assign(new EventTarget(), { show: (/** @type {any} */ { id }) => shown.push(id), dismiss() {} }));
  const client = Object.assign(new EventTarget(), { inbox: { items: [] }, markRead: async () => {} });
  follow(toasts, client, { decorate: (toast) => (toast.id === 1 ? null : toast) });
  for (const id of [1, 2]) client.dispatchEvent(new CustomEvent("toast", { detail: { id, title: "x" } }));
  assert.deepEqual(shown, [2]);
});
