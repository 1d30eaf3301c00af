import assert from "node:assert/strict";
import { test } from "node:test";

import { PageLifecycle, onWake } from "../../static/client/page-lifecycle.js";

/** A window and a document on which a test fires events. @param {{hasFocus?: boolean, visibilityState?: string}} [state] */
function fakePage({ hasFocus = false, visibilityState = "visible" } = {}) {
  const document = Object.assign(new EventTarget(), { visibilityState, hasFocus: () => hasFocus });
  return { window: new EventTarget(), document: /** @type {any} */ (document) };
}

/** @param {Parameters<typeof fakePage>[0]} [state] */
function setUp(state) {
  const page = fakePage(state);
  const lifecycle = new PageLifecycle(page);
  /** @type {string[]} */
  const events = [];
  for (const type of ["visibility", "suspend", "resume"]) lifecycle.addEventListener(type, () => events.push(type));
  return { ...page, lifecycle, events };
}

test("shown, hidden and focused emit `visibility`; shown and focused set the time", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1_000 });
  const { window, document, lifecycle, events } = setUp();
  lifecycle.observe();
  assert.deepEqual([lifecycle.isVisible, lifecycle.focusedAt], [true, 0]);
  window.dispatchEvent(new Event("focus"));
  assert.equal(lifecycle.focusedAt, 1_000);
  t.mock.timers.setTime(2_000);
  document.visibilityState = "hidden";
  document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual([lifecycle.isVisible, lifecycle.focusedAt], [false, 1_000]);
  document.visibilityState = "visible";
  document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual([lifecycle.isVisible, lifecycle.focusedAt], [true, 2_000]);
  assert.deepEqual(events, ["visibility", "visibility", "visibility"]);
});

test("a page that has the focus when it is first observed counts as focused then", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1_000 });
  const { lifecycle } = setUp({ hasFocus: true });
  lifecycle.observe();
  assert.equal(lifecycle.focusedAt, 1_000);
});

test("closed, put into the back/forward cache or frozen emits `suspend`; shown again or resumed, `resume`", () => {
  const { window, document, lifecycle, events } = setUp();
  lifecycle.observe();
  for (const [target, type] of /** @type {const} */ ([[window, "pagehide"], [window, "pageshow"], [document, "freeze"], [document, "resume"]])) {
    target.dispatchEvent(new Event(type));
  }
  assert.deepEqual(events, ["suspend", "resume", "suspend", "resume"]);
});

test("observed twice it emits once, unobserved not at all", () => {
  const { window, lifecycle, events } = setUp();
  lifecycle.observe();
  lifecycle.observe();
  window.dispatchEvent(new Event("pagehide"));
  assert.deepEqual(events, ["suspend"]);
  lifecycle.unobserve();
  window.dispatchEvent(new Event("pagehide"));
  assert.deepEqual(events, ["suspend"]);
});

test("without a document it is never visible, and doesn't throw", () => {
  const lifecycle = new PageLifecycle({ window: /** @type {any} */ ({}), document: undefined });
  lifecycle.observe();
  assert.equal(lifecycle.isVisible, false);
  lifecycle.unobserve();
});

test("online, pageshow and a page that becomes visible wake; a page that is hidden doesn't", (t) => {
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

test("without a window or a document nothing wakes, and nothing throws", () => {
  onWake(() => assert.fail())();
});
