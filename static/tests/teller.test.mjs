import assert from "node:assert/strict";
import { test } from "node:test";

import { Teller } from "../client/teller.js";
import { settle } from "../client/testing/fake-clock.js";
import { page } from "./sharing.mjs";

function setUp() {
  /** @type {((isSure: boolean) => void)[]} */
  const questions = [];
  /** @type {any[]} */
  const said = [];
  let lost = 0;
  const teller = new Teller({
    confirm: () => new Promise((resolve) => questions.push(resolve)),
    say: (telling) => said.push(telling),
    unsure: () => {
      lost += 1;
      teller.clear();
    },
  });
  /** Answer the oldest question. @param {boolean} isSure */
  const answer = async (isSure) => {
    questions.shift()?.(isSure);
    await settle();
  };
  return { teller, questions, said, answer, lost: () => lost };
}

/** @param {string} to @returns {Doorbell.Telling} */
const alive = (to) => ({ kind: "alive", to });

test("nothing is sent before the lead is confirmed; then all that waited, in order, after one confirmation", async () => {
  const { teller, questions, said, answer } = setUp();
  for (const to of ["a", "b", "c"]) teller.tell(alive(to));
  await settle();
  assert.deepEqual([questions.length, said.length], [1, 0]);
  await answer(true);
  assert.deepEqual(said, ["a", "b", "c"].map(alive));
  teller.tell(alive("d"));
  await settle();
  assert.deepEqual([questions.length, said.length], [1, 3], "confirmed anew each time");
  await answer(true);
  assert.deepEqual(said.length, 4);
});

test("what is put in line by sending is sent after it", async () => {
  const { said, answer, ...rest } = setUp();
  const teller = new Teller({
    confirm: async () => true,
    say: (telling) => {
      said.push(telling);
      if (said.length === 1) teller.tell(alive("second"));
    },
    unsure: () => assert.fail(),
  });
  await teller.tell(alive("first"));
  await settle();
  assert.deepEqual(said, ["first", "second"].map(alive));
  assert.equal(rest.lost(), 0);
});

test("when the lead is lost, what waited is dropped and never sent by a later lead", async () => {
  const { teller, said, answer, lost } = setUp();
  teller.tell(alive("a"));
  teller.tell(alive("b"));
  await answer(false);
  assert.deepEqual([said, lost()], [[], 1]);
  teller.tell(alive("c"));
  await answer(true);
  assert.deepEqual(said, [alive("c")]);
});

test("an answer about a reign that is over counts for nothing in the next", async () => {
  for (const isSure of [true, false]) {
    const { teller, questions, said, answer, lost } = setUp();
    teller.tell(alive("old"));
    teller.clear();
    teller.tell(alive("new"));
    await answer(isSure);
    assert.deepEqual([said, lost(), questions.length], [[], 0, 1], "asked again");
    await answer(true);
    assert.deepEqual(said, [alive("new")]);
  }
});

test("a reign that ends while it sends says no more", async () => {
  /** @type {any[]} */
  const said = [];
  const teller = new Teller({
    confirm: async () => true,
    say: (telling) => {
      said.push(telling);
      teller.clear();
    },
    unsure: () => assert.fail(),
  });
  teller.tell(alive("a"));
  teller.tell(alive("b"));
  await settle();
  assert.deepEqual(said, [alive("a")]);
});

test("its position is that of the last page that waits, and null when none does", async () => {
  const { teller, answer } = setUp();
  assert.equal(teller.position, null);
  teller.tell(alive("a"));
  assert.equal(teller.position, null);
  teller.tell({ kind: "page", page: page(3) });
  teller.tell({ kind: "page", page: page(7, "e2") });
  teller.tell(alive("b"));
  assert.deepEqual(teller.position, { since: 7, epoch: "e2" });
  await answer(true);
  assert.equal(teller.position, null);
});
