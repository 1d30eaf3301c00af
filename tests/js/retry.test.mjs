import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../../static/client/http.js";
import { retryUntilAnswered } from "../../static/client/retry.js";
import { FakeClock, settle } from "../../static/client/testing/fake-clock.js";
import "./seeded-jitter.mjs";

/** A request that fails with these errors, one after another, and is then answered. @param {unknown[]} errors */
function requesting(...errors) {
  const clock = new FakeClock();
  const ending = new AbortController();
  let attempts = 0;
  const answer = retryUntilAnswered(async () => {
    attempts += 1;
    if (errors.length > 0) throw errors.shift();
    return "answer";
  }, clock, ending.signal);
  /** @type {unknown} */
  let outcome;
  answer.then((value) => (outcome = value), (error) => (outcome = error));
  return { clock, ending, outcome: () => outcome, attempts: () => attempts };
}

const unreachable = () => new ApiError(0, "network", "unreachable");

test("after no answer, a server error or a rate limit the request is repeated until it is answered", async (t) => {
  t.mock.method(Math, "random", () => 0.5);
  const { clock, outcome, attempts } = requesting(unreachable(), new ApiError(503, "x", "x"), new ApiError(429, "x", "x"));
  await clock.advance(1_499);
  assert.equal(attempts(), 1, "with a backoff in between");
  await clock.advance(60_000);
  assert.deepEqual([attempts(), outcome()], [4, "answer"]);
});

test("Retry-After is honored where the backoff would be shorter", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const { clock, attempts } = requesting(new ApiError(429, "x", "x", 30));
  await clock.advance(29_999);
  assert.equal(attempts(), 1);
  await clock.advance(1);
  assert.equal(attempts(), 2);
});

test("a refusal is thrown at once", async () => {
  for (const error of [new ApiError(401, "x", "x"), new ApiError(404, "x", "x")]) {
    const { outcome, attempts } = requesting(error);
    await settle();
    assert.deepEqual([attempts(), outcome()], [1, error]);
  }
});

test("aborted, it resolves with null, during a wait as well", async () => {
  const waiting = requesting(unreachable());
  await settle();
  waiting.ending.abort();
  await settle();
  assert.equal(waiting.outcome(), null);
  await waiting.clock.advance(60_000);
  assert.equal(waiting.attempts(), 1);

  const late = requesting();
  late.ending.abort();
  await settle();
  assert.equal(late.outcome(), null, "answered after the abort");
});

test("each failure after which it is tried again is reported, a refusal isn't", async () => {
  const clock = new FakeClock();
  /** @type {unknown[]} */
  const failures = [];
  const errors = [unreachable(), new ApiError(503, "x", "busy"), new ApiError(401, "x", "Sign in.")];
  const ended = retryUntilAnswered(async () => Promise.reject(errors.shift()), clock, new AbortController().signal, (error) => failures.push(error));
  ended.catch(() => {});
  await clock.advance(60_000);
  await assert.rejects(ended, /Sign in/);
  assert.deepEqual(failures.map(String), ["ApiError: unreachable", "ApiError: busy"]);
});
