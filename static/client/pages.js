// Reads the pages of the notification list over HTTP.

import { Http } from "./http.js";

const ROWS_PER_PAGE = 50;

/**
 * @param {Http} http
 * @param {AbortSignal} signal
 * @returns {Promise<Doorbell.InboxPage>}
 */
export function readFirstPage(http, signal) {
  return http.get("notifications", { limit: ROWS_PER_PAGE }, signal);
}

/**
 * @param {Http} http
 * @param {number} before an id
 * @returns {Promise<Doorbell.InboxPage>}
 */
export function readOlderPage(http, before) {
  return http.get("notifications", { limit: ROWS_PER_PAGE, before });
}
