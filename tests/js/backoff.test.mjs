import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../../static/client/backoff.js";
import { FakeClock } from "../../static/client/testing/fake-clock.js";

const longest = () => 0.999_999;

test("the first retry after a lost connection, a restart, the maximum age or a slow consumer comes within 5 s", () => {
  for (const code of [1006, 1012, 4000, 4001]) assert.ok(new Backoff({ random: longest }).next(code) < 5_000);
});

test("full jitter: any delay within the window is possible", () => {
  assert.equal(new Backoff({ random: () => 0 }).next(1006), 0);
  const waits = Array.from({ length: 500 }, () => new Backoff().next(1006));
  assert.ok(Math.min(...waits) < 500 && Math.max(...waits) > 2_500);
});

test("the windows grow to 15 s and stay there", () => {
  const backoff = new Backoff({ random: () => 1 });
  assert.deepEqual([1, 2, 3, 4, 5].map(() => backoff.next(1006)), [3_000, 5_000, 10_000, 15_000, 15_000]);
});

test("a rate limit or a server error starts one window higher", () => {
  assert.equal(new Backoff({ random: () => 1 }).next(4002), 5_000);
  assert.equal(new Backoff({ random: () => 1 }).next(1011), 5_000);
});

test("a hello alone doesn't reset the backoff; five seconds of connection do", async () => {
  const clock = new FakeClock();
  const backoff = new Backoff({ random: () => 1, clock });
  for (let i = 0; i < 4; i++) backoff.next(1006);
  backoff.connected();
  await clock.advance(4_900);
  assert.equal(backoff.next(1006), 15_000);
  backoff.connected();
  await clock.advance(5_000);
  assert.equal(backoff.next(1006), 3_000);
});

test("a synced connection is retried within 5 s, however often it is cut", () => {
  const backoff = new Backoff({ random: longest, clock: new FakeClock() });
  for (let i = 0; i < 4; i++) backoff.next(1006);
  for (let i = 0; i < 5; i++) {
    backoff.connected();
    backoff.synced();
    const wait = backoff.next(1006);
    assert.ok(wait < 5_000, String(wait));
    assert.ok(wait > 3_000, "after a short connection the delay is longer than after a stable one");
  }
  assert.ok(backoff.next(1006) > 5_000, "while the server stays away the delays grow");
});
