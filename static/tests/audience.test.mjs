import assert from "node:assert/strict";
import { test } from "node:test";

import { Audience } from "../client/audience.js";
import { FakeClock } from "../client/testing/fake-clock.js";

function setUp() {
  const clock = new FakeClock();
  return { clock, audience: new Audience({ clock }) };
}

const HIDDEN = { isVisible: false, focusedAt: 50 };
/** @param {number} focusedAt */
const seen = (focusedAt) => ({ isVisible: true, focusedAt });

test("of several visible tabs it is the one that was focused last", () => {
  const { audience } = setUp();
  audience.note("a", seen(10));
  audience.note("b", seen(30));
  audience.note("c", seen(20));
  assert.equal(audience.choose("self", seen(5)), "b");
  assert.equal(audience.choose("self", seen(31)), "self");
  audience.note("a", seen(40));
  assert.equal(audience.choose("self", seen(31)), "a", "the last it said counts");
});

test("a hidden tab is chosen only if all are: then it is the one that asks", () => {
  const { audience } = setUp();
  audience.note("a", HIDDEN);
  assert.equal(audience.choose("self", { ...HIDDEN, focusedAt: 1 }), "self");
  audience.note("b", seen(0));
  assert.equal(audience.choose("self", HIDDEN), "b", "visible, though it never had the focus");
  assert.equal(audience.choose("self", seen(0)), "self");
});

test("a tab that was silent for over three seconds may be hung, and one that left is gone", async () => {
  const { clock, audience } = setUp();
  audience.note("a", seen(10));
  await clock.advance(3_000);
  assert.equal(audience.choose("self", HIDDEN), "a");
  await clock.advance(1);
  assert.equal(audience.choose("self", HIDDEN), "self");
  audience.note("a", seen(10));
  assert.equal(audience.choose("self", HIDDEN), "a");
  audience.forget("a");
  assert.equal(audience.choose("self", HIDDEN), "self");
});
