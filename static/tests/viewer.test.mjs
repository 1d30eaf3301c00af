import assert from "node:assert/strict";
import { test } from "node:test";

import { Viewer } from "../client/viewer.js";
import { onWake } from "../client/wake.js";

/** A window and a document that fire what the test says. @param {{hasFocus?: boolean, visibilityState?: string}} [state] */
function fakePage({ hasFocus = false, visibilityState = "visible" } = {}) {
  const document = Object.assign(new EventTarget(), { visibilityState, hasFocus: () => hasFocus });
  return { window: new EventTarget(), document: /** @type {any} */ (document) };
}

/** @param {Parameters<typeof fakePage>[0]} [state] */
function setUp(state) {
  const page = fakePage(state);
  const viewer = new Viewer(page);
  /** @type {string[]} */
  const events = [];
  for (const type of ["look", "leave", "return"]) viewer.addEventListener(type, () => events.push(type));
  return { ...page, viewer, events };
}

test("seen, unseen and focused are looks; only what brings the user here sets the time", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1_000 });
  const { window, document, viewer, events } = setUp();
  viewer.watch();
  assert.deepEqual([viewer.isVisible, viewer.focusedAt], [true, 0]);
  window.dispatchEvent(new Event("focus"));
  assert.equal(viewer.focusedAt, 1_000);
  t.mock.timers.setTime(2_000);
  document.visibilityState = "hidden";
  document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual([viewer.isVisible, viewer.focusedAt], [false, 1_000]);
  document.visibilityState = "visible";
  document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual([viewer.isVisible, viewer.focusedAt], [true, 2_000]);
  assert.deepEqual(events, ["look", "look", "look"]);
});

test("a page that has the focus when it is first watched was focused then", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1_000 });
  const { viewer } = setUp({ hasFocus: true });
  viewer.watch();
  assert.equal(viewer.focusedAt, 1_000);
});

test("closed, put into the back/forward cache or frozen is a leave; shown again or resumed a return", () => {
  const { window, document, viewer, events } = setUp();
  viewer.watch();
  for (const [target, type] of /** @type {const} */ ([[window, "pagehide"], [window, "pageshow"], [document, "freeze"], [document, "resume"]])) {
    target.dispatchEvent(new Event(type));
  }
  assert.deepEqual(events, ["leave", "return", "leave", "return"]);
});

test("watched twice it fires once, unwatched not at all", () => {
  const { window, viewer, events } = setUp();
  viewer.watch();
  viewer.watch();
  window.dispatchEvent(new Event("pagehide"));
  assert.deepEqual(events, ["leave"]);
  viewer.unwatch();
  window.dispatchEvent(new Event("pagehide"));
  assert.deepEqual(events, ["leave"]);
});

test("without a document it is never visible, and nothing breaks", () => {
  const viewer = new Viewer({ window: /** @type {any} */ ({}), document: undefined });
  viewer.watch();
  assert.equal(viewer.isVisible, false);
  viewer.unwatch();
});

test("the network that is back, the page that is shown or seen again wake; a page that is hidden doesn't", (t) => {
  const { window, document } = fakePage();
  for (const name of ["addEventListener", "removeEventListener"]) {
    const real = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { configurable: true, value: /** @type {any} */ (window)[name].bind(window) });
    t.after(() => (real ? Object.defineProperty(globalThis, name, real) : Reflect.deleteProperty(globalThis, name)));
  }
  Object.defineProperty(globalThis, "document", { configurable: true, value: document });
  t.after(() => Reflect.deleteProperty(globalThis, "document"));
  let woken = 0;
  const stop = onWake(() => woken++);
  window.dispatchEvent(new Event("online"));
  window.dispatchEvent(new Event("pageshow"));
  document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(woken, 3);
  document.visibilityState = "hidden";
  document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(woken, 3);
  stop();
  document.visibilityState = "visible";
  for (const type of ["online", "pageshow"]) window.dispatchEvent(new Event(type));
  document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(woken, 3);
});

test("without a window or a document nothing wakes, and nothing breaks", () => {
  onWake(() => assert.fail())();
});
