// Reading pages of the inbox over HTTP, and not giving up while the server can't be reached.

import { Backoff } from "./backoff.js";
import { ApiError, Http } from "./http.js";
import { CloseCode } from "./protocol.js";

const PAGE = 50;

/**
 * @param {Http} http
 * @param {AbortSignal} signal
 * @returns {Promise<Doorbell.InboxPage>}
 */
export function readFirstPage(http, signal) {
  return http.get("notifications", { limit: PAGE }, signal);
}

/**
 * @param {Http} http
 * @param {number} before an id
 * @returns {Promise<Doorbell.InboxPage>}
 */
export function readOlderPage(http, before) {
  return http.get("notifications", { limit: PAGE, before });
}

/**
 * Ask until there is an answer, however long it takes; null once nobody wants it any more. Throws the ApiError if the
 * server refuses.
 * @template T
 * @param {() => Promise<T>} ask
 * @param {Doorbell.Clock} clock
 * @param {AbortSignal} signal
 * @returns {Promise<T | null>}
 */
export async function persist(ask, clock, signal) {
  const backoff = new Backoff({ clock });
  while (!signal.aborted) {
    try {
      const answer = await ask();
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
