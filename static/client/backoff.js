// Reconnect backoff with full jitter, so that ten thousand clients which lost the same server
// don't reconnect in the same second: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

import { systemClock } from "./clock.js";
import { closePolicy } from "./protocol.js";

const WINDOWS_MS = [3_000, 5_000, 10_000, 15_000]; // a restart takes seconds, and the user may be watching
const LAST_PROMPT_ATTEMPT = 1; // index of the last window that is within the contract's 5 s
const STABLE_MS = 5_000; // a connection that lasted this long was healthy

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

  /** The server sent hello. That alone isn't a success: a server may send hello and crash, again and again. */
  connected() {
    this.#connectedAt = this.#clock.now();
  }

  /** The catch-up is complete: when this connection ends, the next delay is within the contract's 5 s again. */
  synced() {
    this.#isSynced = true;
  }

  /**
   * Milliseconds to wait after a close with this code.
   * @param {number} code
   */
  next(code) {
    // A synced connection is retried within the contract's 5 s; in the shortest window only if it was stable, too.
    if (this.#isSynced) this.#attempt = Math.min(this.#attempt, LAST_PROMPT_ATTEMPT);
    if (this.#connectedAt !== null && this.#clock.now() - this.#connectedAt >= STABLE_MS) this.#attempt = 0;
    this.#connectedAt = null;
    this.#isSynced = false;
    // A code that isn't about the network or a restart (rate limit, server error) starts one window higher.
    if (closePolicy(code) === "reconnect") this.#attempt = Math.max(this.#attempt, 1);
    const window = WINDOWS_MS[Math.min(this.#attempt, WINDOWS_MS.length - 1)] ?? 0;
    this.#attempt += 1;
    return this.#random() * window;
  }
}
