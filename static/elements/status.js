// What an element can say of its client: whether it shows the inbox as it is, and if not, why. Plain values: no DOM.

import { ENGLISH } from "./labels.js";

/** Close codes of docs/protocol.md: not signed in, signed out. */
const SIGNED_OUT = new Set([4500, 4503]);

/** @typedef {"no-client" | "signed-out" | "unavailable" | "reading" | "connecting" | "cut-off" | "stopped" | "current"} Status */

/** In place of rows, where none can be shown. @type {Partial<Record<Status, keyof typeof import("../labels/en.js").default>>} */
const INSTEAD = {
  "no-client": "noClient",
  "signed-out": "signedOut",
  unavailable: "unavailable",
  reading: "reading",
  connecting: "connecting",
};
/** Above rows. @type {Partial<Record<Status, keyof typeof import("../labels/en.js").default>>} */
const ABOVE = {
  "cut-off": "cutOff",
  stopped: "stopped",
};
/** For the accessible name of the bell. @type {Partial<Record<Status, keyof typeof import("../labels/en.js").default>>} */
const SPOKEN = {
  "no-client": "stateNoClient",
  "signed-out": "stateSignedOut",
  unavailable: "stateUnavailable",
  connecting: "stateConnecting",
  "cut-off": "stateCutOff",
  stopped: "stateStopped",
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
 * @param {import("./labels.js").Translate} [t]
 */
export function sentences(status, hasRows, t = ENGLISH.t) {
  const instead = INSTEAD[status];
  const above = hasRows || !instead ? ABOVE[status] : undefined;
  return { above: above ? t(above) : "", instead: instead ? t(instead) : "" };
}

/**
 * @param {Status} status
 * @param {import("./labels.js").Translate} [t]
 */
export function spoken(status, t = ENGLISH.t) {
  const label = SPOKEN[status];
  return label ? t(label) : "";
}
