// Repeats an HTTP request until the server answers it.

import { Backoff } from "./backoff.js";
import { ApiError } from "./http.js";
import { CloseCode } from "./protocol.js";

/**
 * Sends a request until it is answered, however long that takes. Resolves with null once aborted. Throws the ApiError if
 * the server refuses.
 * @template T
 * @param {() => Promise<T>} send
 * @param {Doorbell.Clock} clock
 * @param {AbortSignal} signal
 * @returns {Promise<T | null>}
 */
export async function retryUntilAnswered(send, clock, signal) {
  const backoff = new Backoff({ clock });
  while (!signal.aborted) {
    try {
      const answer = await send();
      return signal.aborted ? null : answer;
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof ApiError) || !error.isTemporary) throw error;
      await sleep(Math.max(backoff.next(CloseCode.ABNORMAL), (error.retryAfter ?? 0) * 1000), clock, signal);
    }
  }
  return null;
}

/**
 * @param {number} ms
 * @param {Doorbell.Clock} clock
 * @param {AbortSignal} signal ends the sleep early
 */
function sleep(ms, clock, signal) {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(() => resolve(null), ms);
    signal.addEventListener("abort", () => {
      clock.clearTimeout(timer);
      resolve(null);
    });
  });
}
