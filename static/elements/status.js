// What an element can say of its client: whether it shows the inbox as it is, and if not, why. Plain values: no DOM.

/** Close codes of docs/protocol.md: not signed in, signed out. */
const SIGNED_OUT = new Set([4500, 4503]);

/** @typedef {"no-client" | "signed-out" | "unavailable" | "reading" | "connecting" | "cut-off" | "stopped" | "current"} Status */

/** In place of rows, where none can be shown. @type {Partial<Record<Status, string>>} */
const INSTEAD = {
  "no-client": "Notifications aren't set up on this page.",
  "signed-out": "Sign in to see your notifications.",
  unavailable: "Notifications can't be loaded.",
  reading: "Reading your notifications…",
  connecting: "No connection yet; trying again.",
};
/** Above rows. @type {Partial<Record<Status, string>>} */
const ABOVE = {
  "cut-off": "Reconnecting; this may be old.",
  stopped: "Not connected; this may be old.",
};
/** For the accessible name of the bell. @type {Partial<Record<Status, string>>} */
const SPOKEN = {
  "no-client": "not set up",
  "signed-out": "signed out",
  unavailable: "can't be loaded",
  connecting: "no connection",
  "cut-off": "reconnecting",
  stopped: "not connected",
};

/**
 * @param {{inbox: {readonly position?: object | null}, connection?: {state: string, code: number | null, reason: string}} | null} client
 * @returns {Status}
 */
export function statusOf(client) {
  if (!client) return "no-client";
  const isRead = client.inbox.position !== null; // undefined: a client that doesn't say
  const { state, code, reason } = client.connection ?? { state: "connected", code: null, reason: "" };
  if (state === "disconnected" && SIGNED_OUT.has(code ?? 0)) return "signed-out";
  if (state === "disconnected" && code !== null) return isRead ? "stopped" : "unavailable";
  const hasFailed = state === "connecting" && (code !== null || reason !== "");
  if (!isRead) return hasFailed ? "connecting" : "reading";
  return hasFailed ? "cut-off" : "current";
}

/** Whether there is an inbox that can be shown and changed. @param {Status} status */
export function hasInbox(status) {
  return status !== "no-client" && status !== "signed-out" && status !== "unavailable";
}

/**
 * The sentence above the rows of a list, and the one in place of them; empty: none is needed.
 * @param {Status} status
 * @param {boolean} hasRows
 */
export function sentences(status, hasRows) {
  const instead = INSTEAD[status] ?? "";
  return { above: hasRows || !instead ? (ABOVE[status] ?? "") : "", instead };
}

/** @param {Status} status */
export function spoken(status) {
  return SPOKEN[status] ?? "";
}
