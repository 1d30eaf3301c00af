// The wire protocol: every name, number and limit that the server defines as well (in realtime/protocol.py). No other file
// spells out a frame type, a close code or a default path.

export const SUBPROTOCOL = "notifications.v1";
export const TICKET_PREFIX = "ticket.";
export const SOCKET_PATH = "/ws/notifications/";
export const API_PATH = "/api/v1/";

/** Server to client. */
export const FrameType = Object.freeze({
  HELLO: "hello",
  PRESENCE_STATE: "presence_state",
  INBOX: "inbox",
  SYNCED: "synced",
  RESET: "reset",
  PRESENCE: "presence",
  HEARTBEAT: "heartbeat",
  PONG: "pong",
  ERROR: "error",
});

/** Client to server. */
export const CommandType = Object.freeze({
  RESUME: "resume",
  PING: "ping",
});

export const CloseCode = Object.freeze({
  NORMAL: 1000,
  GOING_AWAY: 1001,
  ABNORMAL: 1006,
  TOO_BIG: 1009,
  INTERNAL_ERROR: 1011,
  SERVICE_RESTART: 1012,
  MAX_AGE: 4000,
  SLOW_CONSUMER: 4001,
  RATE_LIMITED: 4002,
  UNAUTHENTICATED: 4500,
  PROTOCOL_ERROR: 4501,
  TOO_MANY_CONNECTIONS: 4502,
  SIGNED_OUT: 4503,
});

/** After these the first retry comes within five seconds. @type {ReadonlySet<number>} */
const PROMPT_CODES = new Set([
  CloseCode.ABNORMAL,
  CloseCode.SERVICE_RESTART,
  CloseCode.MAX_AGE,
  CloseCode.SLOW_CONSUMER,
]);

/**
 * What a client does after a close code. The ranges decide, so that a client built today handles codes that are added
 * later.
 * @param {number} code
 * @returns {"stop" | "reconnect" | "reconnect_promptly"}
 */
export function closePolicy(code) {
  if (code >= 4500 && code <= 4999) return "stop";
  return PROMPT_CODES.has(code) ? "reconnect_promptly" : "reconnect";
}

/** At most this many `resume` commands a minute, one at a time. */
export const RESUMES_PER_MINUTE = 6;

/** A connection on which nothing was received for this many heartbeat intervals is considered dead. */
export const MAX_SILENT_HEARTBEATS = 1.5;

/**
 * @param {number} since the last revision that was applied
 * @param {string} [epoch] left out: the server's current one
 * @returns {Doorbell.Command}
 */
export function resume(since, epoch) {
  return { type: CommandType.RESUME, since, ...(epoch === undefined ? {} : { epoch }) };
}

/**
 * @param {string} ref echoed by the pong, up to 64 characters
 * @returns {Doorbell.Command}
 */
export function ping(ref) {
  return { type: CommandType.PING, ref };
}

/**
 * Parses a text frame; null if it isn't one. Unknown types and fields are kept: they must be ignored, not refused.
 * @param {unknown} text
 * @returns {Doorbell.Frame | null}
 */
export function parse(text) {
  if (typeof text !== "string") return null;
  try {
    const frame = JSON.parse(text);
    return typeof frame?.type === "string" ? frame : null;
  } catch {
    return null;
  }
}

/**
 * The socket's address: `base` is an http(s) origin (with or without a path before `path`).
 * @param {string} base
 * @param {Doorbell.Position | null} position
 * @param {string} [path]
 */
export function socketUrl(base, position, path = SOCKET_PATH) {
  const url = new URL(base.replace(/\/$/, "") + path);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (position) {
    url.searchParams.set("since", String(position.since));
    url.searchParams.set("epoch", position.epoch);
  }
  return url.href;
}
