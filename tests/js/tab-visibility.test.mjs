import assert from "node:assert/strict";
import { test } from "node:test";

import { TabVisibility } from "../../static/client/tabs/tab-visibility.js";
import { FakeClock } from "../../static/client/testing/fake-clock.js";
import "./seeded-jitter.mjs";

function setUp() {
  const clock = new FakeClock();
  return { clock, tabVisibility: new TabVisibility({ clock }) };
}

const HIDDEN = { isVisible: false, focusedAt: 50 };
/** @param {number} focusedAt */
const visible = (focusedAt) => ({ isVisible: true, focusedAt });

test("of several visible tabs the one that was focused last is chosen", () => {
  const { tabVisibility } = setUp();
  tabVisibility.record("a", visible(10));
  tabVisibility.record("b", visible(30));
  tabVisibility.record("c", visible(20));
  assert.equal(tabVisibility.chooseToastTab("leader", visible(5)), "b");
  assert.equal(tabVisibility.chooseToastTab("leader", visible(31)), "leader");
  tabVisibility.record("a", visible(40));
  assert.equal(tabVisibility.chooseToastTab("leader", visible(31)), "a", "the latest report counts");
});

test("with all tabs hidden the leader is chosen, never another hidden tab", () => {
  const { tabVisibility } = setUp();
  tabVisibility.record("a", HIDDEN);
  assert.equal(tabVisibility.chooseToastTab("leader", { ...HIDDEN, focusedAt: 1 }), "leader");
  tabVisibility.record("b", visible(0));
  assert.equal(tabVisibility.chooseToastTab("leader", HIDDEN), "b", "visible, though never focused");
  assert.equal(tabVisibility.chooseToastTab("leader", visible(0)), "leader");
});

test("a tab that was silent for over three seconds or has left isn't chosen", async () => {
  const { clock, tabVisibility } = setUp();
  tabVisibility.record("a", visible(10));
  await clock.advance(3_000);
  assert.equal(tabVisibility.chooseToastTab("leader", HIDDEN), "a");
  await clock.advance(1);
  assert.equal(tabVisibility.chooseToastTab("leader", HIDDEN), "leader");
  tabVisibility.record("a", visible(10));
  assert.equal(tabVisibility.chooseToastTab("leader", HIDDEN), "a");
  tabVisibility.remove("a");
  assert.equal(tabVisibility.chooseToastTab("leader", HIDDEN), "leader");
});
