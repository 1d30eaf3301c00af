// How long to wait before the next try. Full jitter, so that ten thousand clients which lost the same server don't
// come back in the same second: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

import { systemClock } from "./clock.js";
import { closePolicy } from "./protocol.js";

const WINDOWS_MS = [3_000, 5_000, 10_000, 15_000]; // a restart takes seconds, and somebody may be watching
const PROMPT = 1; // the last window that is within the contract's 5 s
const STABLE_MS = 5_000; // a connection that lived this long leaves nothing to be careful about

/** @implements {Doorbell.Backoff} */
export class Backoff {
  #attempt = 0;
  /** @type {number | null} */
  #connectedAt = null;
  #isSynced = false;
  #random;
  #clock;

  /** @param {{random?: () => number, clock?: Doorbell.Clock}} [options] */
  constructor({ random = Math.random, clock = systemClock } = {}) {
    this.#random = random;
    this.#clock = clock;
  }

  /** The server said hello. That alone is no success: a server may greet and fall over, again and again. */
  connected() {
    this.#connectedAt = this.#clock.now();
  }

  /** It has also told all that was missed: when this connection ends, the next try is a first one. */
  synced() {
    this.#isSynced = true;
  }

  /**
   * Milliseconds to wait after a close with this code.
   * @param {number} code
   */
  next(code) {
    // What was synced comes back within the contract's 5 s, but not sooner until it has lived for a while.
    if (this.#isSynced) this.#attempt = Math.min(this.#attempt, PROMPT);
    if (this.#connectedAt !== null && this.#clock.now() - this.#connectedAt >= STABLE_MS) this.#attempt = 0;
    this.#connectedAt = null;
    this.#isSynced = false;
    // A code that isn't about the network or a restart (rate limit, server error) begins one window further up.
    if (closePolicy(code) === "reconnect") this.#attempt = Math.max(this.#attempt, 1);
    const window = WINDOWS_MS[Math.min(this.#attempt, WINDOWS_MS.length - 1)] ?? 0;
    this.#attempt += 1;
    return this.#random() * window;
  }
}
