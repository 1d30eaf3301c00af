// Repeats an HTTP request until the server answers it. An error that isn't an answer is a fault of the page or of the
// browser, a function that it doesn't have for instance: it is reported once on the console, and tried again all the same.

import { Backoff } from "./backoff.js";
import { ApiError } from "./http.js";
import { CloseCode } from "./protocol.js";

/** The faults that are on the console already, by their text. @type {Set<string>} */
const reported = new Set();

/** @param {unknown} error */
function reportFault(error) {
  if (reported.has(String(error))) return;
  reported.add(String(error));
  console.error("Doorbell: a fault in the page, or a browser older than those in docs/client.md; it is tried again:", error);
}

/**
 * Sends a request until it is answered, however long that takes. Resolves with null once aborted. Throws the ApiError if
 * the server refuses.
 * @template T
 * @param {() => Promise<T>} send
 * @param {Doorbell.Clock} clock
 * @param {AbortSignal} signal
 * @param {(error: unknown) => void} [onFailure] called with each error after which it is tried again
 * @returns {Promise<T | null>}
 */
export async function retryUntilAnswered(send, clock, signal, onFailure) {
  const backoff = new Backoff({ clock });
  while (!signal.aborted) {
    try {
      const answer = await send();
      return signal.aborted ? null : answer;
    } catch (error) {
      if (signal.aborted) break;
      const isAnswer = error instanceof ApiError;
      if (isAnswer && !error.isTemporary) throw error;
      if (!isAnswer) reportFault(error);
      onFailure?.(error);
      const retryAfter = isAnswer ? (error.retryAfter ?? 0) : 0;
      await sleep(Math.max(backoff.next(CloseCode.ABNORMAL), retryAfter * 1000), clock, signal);
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
