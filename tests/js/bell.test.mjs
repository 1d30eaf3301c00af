import assert from "node:assert/strict";
import { test } from "node:test";

import { DesktopNotifications } from "../../static/bell/desktop.js";
import { badgeText, countLabel, unreadFirst, withCount } from "../../static/bell/format.js";

test("unread rows come first, both halves are newest first, and the given list isn't changed", () => {
  const items = [4, 3, 2, 1].map((id) => ({ id, is_read: id % 2 === 0 }));
  assert.deepEqual(unreadFirst(items).map(({ id }) => id), [3, 1, 4, 2]);
  assert.deepEqual(items.map(({ id }) => id), [4, 3, 2, 1]);
});

test("the badge counts to 99", () => {
  assert.deepEqual([0, 1, 99, 100, 5000].map((count) => badgeText(count)), ["0", "1", "99", "99+", "99+"]);
  assert.equal(countLabel(0), "Notifications, none unread");
  assert.equal(countLabel(100), "Notifications, 100 unread");
});

test("the title carries the count once, and none at zero", () => {
  assert.equal(withCount("Doorbell", 3), "(3) Doorbell");
  assert.equal(withCount("(3) Doorbell", 4), "(4) Doorbell");
  assert.equal(withCount("(99+) Doorbell", 0), "Doorbell");
  assert.equal(withCount("(a) Doorbell (3)", 1), "(1) (a) Doorbell (3)");
});

function setUp({ permission = "default", answer = "granted", isHidden = true } = {}) {
  /** @type {number[]} */
  const requests = [];
  /** @type {any[]} */
  const shown = [];
  class FakeNotification {
    static permission = permission;
    static async requestPermission() {
      requests.push(1);
      return (FakeNotification.permission = answer);
    }
    /**
     * @param {string} title
     * @param {object} options
     */
    constructor(title, options) {
      shown.push({ title, ...options, shown: this });
    }
    close() {}
  }
  const values = new Map();
  const storage = /** @type {Storage} */ ({
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
  });
  const desktop = new DesktopNotifications({ Notification: FakeNotification, storage, isHidden: () => isHidden });
  return { desktop, requests, shown };
}
const ROW = { id: 7, title: "Hello", description: "there", is_read: false, created_at: "2026-01-01T00:00:00Z" };

test("on the desktop a notification of a group replaces the other", async () => {
  const { desktop, shown } = setUp();
  await desktop.toggle();
  for (const [id, group] of /** @type {const} */ ([[1, "page:7"], [2, "page:7"], [3, null]])) {
    desktop.show({ ...ROW, id, group, notification_type: "comment" }, () => {});
  }
  assert.deepEqual(shown.map(({ tag }) => tag), ["doorbell-comment-page:7", "doorbell-comment-page:7", "doorbell-3"]);
});

test("the permission is requested by toggle and never before", async () => {
  const { desktop, requests, shown } = setUp();
  desktop.show(ROW, () => {});
  assert.deepEqual([desktop.state, requests.length, shown.length], ["off", 0, 0]);
  await desktop.toggle();
  assert.deepEqual([desktop.state, requests.length], ["on", 1]);
  await desktop.toggle();
  assert.equal(desktop.state, "off");
});

test("a hidden page shows a desktop notification, with one tag for all tabs, and a click opens the bell", async () => {
  const { desktop, shown } = setUp({ permission: "granted" });
  desktop.show(ROW, () => {});
  assert.equal(shown.length, 0, "the permission is granted, but it isn't switched on");
  await desktop.toggle();
  let opened = 0;
  desktop.show(ROW, () => opened++);
  assert.equal(shown.length, 1);
  assert.deepEqual([shown[0].title, shown[0].body, shown[0].tag], ["Hello", "there", "doorbell-7"]);
  shown[0].shown.onclick();
  assert.equal(opened, 1);
});

test("a visible page shows none, nor does a browser that refuses or doesn't support it", async () => {
  const seen = setUp({ isHidden: false });
  await seen.desktop.toggle();
  seen.desktop.show(ROW, () => {});
  const refused = setUp({ answer: "denied" });
  await refused.desktop.toggle();
  refused.desktop.show(ROW, () => {});
  await refused.desktop.toggle();
  assert.deepEqual([seen.shown.length, refused.shown.length], [0, 0]);
  assert.deepEqual([refused.desktop.state, refused.requests.length], ["blocked", 1]);
  assert.equal(new DesktopNotifications({ Notification: null }).state, "unsupported");
});

test("where storage is blocked desktop notifications are unsupported", (t) => {
  const real = Object.getOwnPropertyDescriptor(globalThis, "localStorage");
  t.after(() => (real ? Object.defineProperty(globalThis, "localStorage", real) : Reflect.deleteProperty(globalThis, "localStorage")));
  Object.defineProperty(globalThis, "localStorage", {
    configurable: true,
    get() {
      throw new DOMException("The document is sandboxed.", "SecurityError");
    },
  });
  const desktop = new DesktopNotifications({ Notification: class {} });
  assert.equal(desktop.state, "unsupported");
  desktop.show(ROW, () => assert.fail());
});

test("a browser whose constructor throws is tried once, and is unsupported then", () => {
  let tried = 0;
  class Android {
    static permission = "granted";
    constructor() {
      tried++;
      throw new TypeError("Illegal constructor.");
    }
  }
  const storage = { getItem: () => "on", setItem() {} };
  const desktop = new DesktopNotifications({ Notification: Android, storage, isHidden: () => true });
  desktop.show(ROW, () => {});
  desktop.show(ROW, () => {});
  assert.deepEqual([desktop.state, tried], ["unsupported", 1]);
});
