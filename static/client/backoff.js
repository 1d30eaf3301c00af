// How long to wait before the next try. Full jitter, so that ten thousand clients which lost the same server don't
// come back in the same second: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

import { systemClock } from "./clock.js";
import { closePolicy } from "./protocol.js";

const FIRST_MS = 3_000; // the first window; the contract allows 5 s
const CAP_MS = 15_000; // a restart takes seconds, and somebody may be watching
const STABLE_MS = 5_000; // a connection that lived this long counts as a success

/** @implements {Doorbell.Backoff} */
export class Backoff {
  #attempt = 0;
  /** @type {number | null} */
  #connectedAt = null;
  #random;
  #clock;

  /** @param {{random?: () => number, clock?: Doorbell.Clock}} [options] */
  constructor({ random = Math.random, clock = systemClock } = {}) {
    this.#random = random;
    this.#clock = clock;
  }

  /** The server said hello. One hello is no success yet: a server may greet and fall over, again and again. */
  connected() {
    this.#connectedAt = this.#clock.now();
  }

  /**
   * Milliseconds to wait after a close with this code.
   * @param {number} code
   */
  next(code) {
    if (this.#connectedAt !== null && this.#clock.now() - this.#connectedAt >= STABLE_MS) this.#attempt = 0;
    this.#connectedAt = null;
    // A code that isn't about the network or a restart (rate limit, server error) begins one window further up.
    if (closePolicy(code) === "reconnect") this.#attempt = Math.max(this.#attempt, 1);
    const window = Math.min(CAP_MS, FIRST_MS * 2 ** this.#attempt);
    this.#attempt += 1;
    return this.#random() * window;
  }
}
