// Reading pages of the inbox over HTTP.

import { Backoff } from "./backoff.js";
import { ApiError, Http } from "./http.js";
import { CloseCode } from "./protocol.js";

const PAGE = 50;

/**
 * The first page, however long it takes; null once nobody wants it any more. Throws an ApiError if the server refuses.
 * @param {Http} http
 * @param {Doorbell.Clock} clock
 * @param {AbortSignal} signal
 * @returns {Promise<Doorbell.InboxPage | null>}
 */
export async function readFirstPage(http, clock, signal) {
  const backoff = new Backoff({ clock });
  while (!signal.aborted) {
    try {
      const page = await http.get("notifications", { limit: PAGE }, signal);
      return signal.aborted ? null : page;
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof ApiError) || !error.isTemporary) throw error;
      await sleep(Math.max(backoff.next(CloseCode.ABNORMAL), (error.retryAfter ?? 0) * 1000), clock, signal);
    }
  }
  return null;
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
