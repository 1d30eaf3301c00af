import assert from "node:assert/strict";
import { test } from "node:test";

import { badgeText, spokenCount, titled, unreadFirst } from "../bell/arrange.js";
import { Desktop } from "../bell/desktop.js";

test("unread come first, each half newest first, and the list given stays as it is", () => {
  const items = [4, 3, 2, 1].map((id) => ({ id, is_read: id % 2 === 0 }));
  assert.deepEqual(unreadFirst(items).map(({ id }) => id), [3, 1, 4, 2]);
  assert.deepEqual(items.map(({ id }) => id), [4, 3, 2, 1]);
});

test("the badge counts to 99", () => {
  assert.deepEqual([0, 1, 99, 100, 5000].map(badgeText), ["0", "1", "99", "99+", "99+"]);
  assert.equal(spokenCount(0), "Notifications, none unread");
  assert.equal(spokenCount(100), "Notifications, 100 unread");
});

test("the title carries the count once, and gives it back", () => {
  assert.equal(titled("Doorbell", 3), "(3) Doorbell");
  assert.equal(titled("(3) Doorbell", 4), "(4) Doorbell");
  assert.equal(titled("(99+) Doorbell", 0), "Doorbell");
  assert.equal(titled("(a) Doorbell (3)", 1), "(1) (a) Doorbell (3)");
});

function setUp({ permission = "default", answer = "granted", isHidden = true } = {}) {
  /** @type {number[]} */
  const asked = [];
  /** @type {any[]} */
  const shown = [];
  class FakeNotification {
    static permission = permission;
    static async requestPermission() {
      asked.push(1);
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
  const desktop = new Desktop({ Notification: FakeNotification, storage, isHidden: () => isHidden });
  return { desktop, asked, shown };
}
const ROW = { id: 7, title: "Hello", description: "there", is_read: false, created_at: "2026-01-01T00:00:00Z" };

test("the permission is asked for by a click and never before", async () => {
  const { desktop, asked, shown } = setUp();
  desktop.show(ROW, () => {});
  assert.deepEqual([desktop.state, asked.length, shown.length], ["off", 0, 0]);
  await desktop.toggle();
  assert.deepEqual([desktop.state, asked.length], ["on", 1]);
  await desktop.toggle();
  assert.equal(desktop.state, "off");
});

test("a page that is hidden shows it on the desktop, one for all tabs, and a click opens the bell", async () => {
  const { desktop, shown } = setUp({ permission: "granted" });
  desktop.show(ROW, () => {});
  assert.equal(shown.length, 0, "granted to this site, but not wanted here");
  await desktop.toggle();
  let opened = 0;
  desktop.show(ROW, () => opened++);
  assert.equal(shown.length, 1);
  assert.deepEqual([shown[0].title, shown[0].body, shown[0].tag], ["Hello", "there", "doorbell-7"]);
  shown[0].shown.onclick();
  assert.equal(opened, 1);
});

test("a page that is seen, a browser that refuses, or one that can't, shows none", async () => {
  const seen = setUp({ isHidden: false });
  await seen.desktop.toggle();
  seen.desktop.show(ROW, () => {});
  const refused = setUp({ answer: "denied" });
  await refused.desktop.toggle();
  refused.desktop.show(ROW, () => {});
  await refused.desktop.toggle();
  assert.deepEqual([seen.shown.length, refused.shown.length], [0, 0]);
  assert.deepEqual([refused.desktop.state, refused.asked.length], ["blocked", 1]);
  assert.equal(new Desktop({ Notification: null }).state, "unsupported");
});

test("where storage is blocked there is a bell without desktop notifications", (t) => {
  const real = Object.getOwnPropertyDescriptor(globalThis, "localStorage");
  t.after(() => (real ? Object.defineProperty(globalThis, "localStorage", real) : Reflect.deleteProperty(globalThis, "localStorage")));
  Object.defineProperty(globalThis, "localStorage", {
    configurable: true,
    get() {
      throw new DOMException("The document is sandboxed.", "SecurityError");
    },
  });
  const desktop = new Desktop({ Notification: class {} });
  assert.equal(desktop.state, "unsupported");
  desktop.show(ROW, () => assert.fail());
});

test("a browser that has the class but won't make one is found out once, and then left alone", () => {
  let tried = 0;
  class Android {
    static permission = "granted";
    constructor() {
      tried++;
      throw new TypeError("Illegal constructor.");
    }
  }
  const storage = { getItem: () => "on", setItem() {} };
  const desktop = new Desktop({ Notification: Android, storage, isHidden: () => true });
  desktop.show(ROW, () => {});
  desktop.show(ROW, () => {});
  assert.deepEqual([desktop.state, tried], ["unsupported", 1]);
});
