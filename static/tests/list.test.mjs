import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../client/http.js";
import { persist } from "../client/list.js";
import { FakeClock, settle } from "../client/testing/fake-clock.js";

/** Ask something that fails with these errors, one after another, and then answers. @param {unknown[]} errors */
function asking(...errors) {
  const clock = new FakeClock();
  const ending = new AbortController();
  let asked = 0;
  const answer = persist(async () => {
    asked += 1;
    if (errors.length > 0) throw errors.shift();
    return "answer";
  }, clock, ending.signal);
  /** @type {unknown} */
  let outcome;
  answer.then((value) => (outcome = value), (error) => (outcome = error));
  return { clock, ending, outcome: () => outcome, asked: () => asked };
}

const away = () => new ApiError(0, "network", "away");

test("no answer, a server error and a rate limit are asked again until there is an answer", async (t) => {
  t.mock.method(Math, "random", () => 0.5);
  const { clock, outcome, asked } = asking(away(), new ApiError(503, "x", "x"), new ApiError(429, "x", "x"));
  await clock.advance(1_499);
  assert.equal(asked(), 1, "with a backoff in between");
  await clock.advance(60_000);
  assert.deepEqual([asked(), outcome()], [4, "answer"]);
});

test("Retry-After is waited for, also where the backoff would be shorter", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const { clock, asked } = asking(new ApiError(429, "x", "x", 30));
  await clock.advance(29_999);
  assert.equal(asked(), 1);
  await clock.advance(1);
  assert.equal(asked(), 2);
});

test("a refusal, or what is no answer at all, is thrown at once", async () => {
  for (const error of [new ApiError(401, "x", "x"), new ApiError(404, "x", "x"), new TypeError("a bug")]) {
    const { outcome, asked } = asking(error);
    await settle();
    assert.deepEqual([asked(), outcome()], [1, error]);
  }
});

test("once nobody wants it any more it is null, in the middle of a wait as well", async () => {
  const waiting = asking(away());
  await settle();
  waiting.ending.abort();
  await settle();
  assert.equal(waiting.outcome(), null);
  await waiting.clock.advance(60_000);
  assert.equal(waiting.asked(), 1);

  const late = asking();
  late.ending.abort();
  await settle();
  assert.equal(late.outcome(), null, "an answer that came too late");
});
