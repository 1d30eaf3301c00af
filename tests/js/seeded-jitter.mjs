// Imported for its effect: Math.random, of which the backoff's delays are made, begins each test with the same seed.
// How far a fake clock must be advanced is then no matter of chance.

import { beforeEach } from "node:test";
import { random } from "./random.mjs";

const SEED = 20_261_127;

beforeEach(() => {
  Math.random = random(SEED).next;
});
