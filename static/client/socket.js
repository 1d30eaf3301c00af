// A WebSocket that reconnects by itself; its states are connecting, connected and disconnected. It emits an unbroken sequence
// of frames (`message`): duplicates are dropped, and after a gap no frame passes until a resume has filled it.
//
// Events: `state` (Doorbell.StateChange), `message` (a Doorbell.Frame to apply), `frame` (Doorbell.TracedFrame: all traffic).

import { Backoff } from "./backoff.js";
import { systemClock } from "./clock.js";
import { Cursor } from "./cursor.js";
import { onWake } from "./page-lifecycle.js";
import {
  CloseCode,
  FrameType,
  MAX_SILENT_HEARTBEATS,
  RESUMES_PER_MINUTE,
  SUBPROTOCOL,
  TICKET_PREFIX,
  closePolicy,
  parse,
  ping,
  resume,
} from "./protocol.js";

const HELLO_TIMEOUT_MS = 15_000;
const PONG_TIMEOUT_MS = 5_000;
const RESUME_TIMEOUT_MS = 10_000;
const MINUTE_MS = 60_000;
const FAILURES_UNTIL_HINT = 2;
const MAX_RESUMES_PER_MINUTE = RESUMES_PER_MINUTE - 1; // the server's minute may start at another moment than this one

export class DoorbellSocket extends EventTarget {
  /** @type {Doorbell.State} */
  state = "disconnected";

  /** @type {Doorbell.WebSocketLike | null} */
  #ws = null;
  /** Identifies the latest attempt, so that an `#open` that waited for its ticket can detect that it is outdated. @type {symbol | null} */
  #attempt = null;
  #cursor = new Cursor(null);
  #watchdogMs = HELLO_TIMEOUT_MS;
  #lastReceivedAt = 0;
  #isResuming = false;
  /** When it sent `resume`, within the last minute. @type {number[]} */
  #resumeTimes = [];
  /** When it last reconnected because resumes didn't close the gaps. */
  #lastGapReconnect = -Infinity;
  /** Why the last attempt failed, until one succeeds. */
  #failure = { code: /** @type {number | undefined} */ (undefined), reason: "" };
  /** Attempts that failed before the first one that succeeded; null after that. @type {number | null} */
  #firstFailures = 0;
  /** @type {unknown} */
  #retryTimer = null;
  /** @type {unknown} */
  #watchdog = null;
  #removeWakeListener = () => {};

  #url;
  #position;
  #ticket;
  #WebSocket;
  #clock;
  #backoff;

  /**
   * @param {object} options
   * @param {(position: Doorbell.Position | null) => string} options.url
   * @param {() => Doorbell.Position | null} [options.position] from which to continue; read at each connect
   * @param {() => Promise<string>} [options.ticket] a fresh one for each connect; left out: the cookie authenticates
   * @param {Doorbell.WebSocketClass} [options.WebSocket]
   * @param {Doorbell.Clock} [options.clock]
   * @param {Doorbell.Backoff} [options.backoff]
   */
  constructor({ url, position = () => null, ticket, WebSocket = globalThis.WebSocket, clock = systemClock, backoff }) {
    super();
    this.#url = url;
    this.#position = position;
    this.#ticket = ticket;
    this.#WebSocket = WebSocket;
    this.#clock = clock;
    this.#backoff = backoff ?? new Backoff({ clock });
  }

  connect() {
    if (this.state !== "disconnected") return;
    this.#removeWakeListener = onWake(() => this.#handleWake());
    this.#failure = { code: undefined, reason: "" };
    this.#open();
  }

  /** Closes without reconnecting. `code` and `reason` are reported by the `state` event. */
  disconnect(code = /** @type {number} */ (CloseCode.NORMAL), reason = "") {
    if (this.state === "disconnected") return;
    this.#abandonSocket();
    this.#stop(code, reason);
  }

  /** Replaces this connection with a new one, at once. */
  reconnect() {
    if (this.state === "disconnected") return;
    this.#abandonSocket();
    this.#open();
  }

  /** @param {Doorbell.Command} command */
  send(command) {
    if (this.state !== "connected") return;
    const text = JSON.stringify(command);
    this.#ws?.send(text);
    this.#emit("frame", { direction: "out", frame: command, text, at: Date.now(), verdict: null });
  }

  // Opening ------------------------------------------------------------------------------------------------------

  async #open() {
    this.#clock.clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    this.#setState("connecting", this.#failure);
    if (!this.#ticket) return this.#openSocket([SUBPROTOCOL]);

    const attempt = (this.#attempt = Symbol("attempt"));
    try {
      const ticket = await this.#ticket();
      if (attempt === this.#attempt) this.#openSocket([SUBPROTOCOL, TICKET_PREFIX + ticket]);
    } catch (error) {
      if (attempt === this.#attempt) this.#handleTicketError(error);
    }
  }

  /** @param {string[]} protocols */
  #openSocket(protocols) {
    const position = this.#position();
    this.#cursor = new Cursor(position);
    this.#watchdogMs = HELLO_TIMEOUT_MS;
    const ws = new this.#WebSocket(this.#url(position), protocols);
    this.#ws = ws;
    ws.addEventListener("message", (event) => ws === this.#ws && this.#handleMessage(event.data));
    ws.addEventListener("close", (event) => ws === this.#ws && this.#handleClose(event.code, event.reason));
    this.#armWatchdog(this.#watchdogMs);
  }

  /** @param {any} error */
  #handleTicketError(error) {
    const isFinal = error?.status === 401 || error?.status === 403;
    this.#handleClose(isFinal ? CloseCode.UNAUTHENTICATED : CloseCode.ABNORMAL, String(error?.message ?? error));
  }

  // Closing ------------------------------------------------------------------------------------------------------

  /**
   * @param {number} code
   * @param {string} reason
   */
  #handleClose(code, reason) {
    const wasOpening = this.#ws !== null;
    this.#resetConnection();
    if (closePolicy(code) === "stop") return this.#stop(code, reason);
    this.#failure = { code, reason };
    if (wasOpening && this.#firstFailures !== null && ++this.#firstFailures === FAILURES_UNTIL_HINT) this.#hint();
    const retryIn = this.#backoff.next(code);
    this.#retryTimer = this.#clock.setTimeout(() => this.#open(), retryIn);
    this.#setState("connecting", { code, reason, retryIn });
  }

  /** For the developer of the page: a browser shows a script no reason. */
  #hint() {
    const [address] = this.#url(null).split("?");
    console.warn(
      `Doorbell: the WebSocket ${address} has never opened; it is tried again. The server must serve WebSockets, and a proxy ` +
        "must pass them on: `manage.py check` names what the project lacks, and opening this address with http what the server lacks.",
    );
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #stop(code, reason) {
    this.#removeWakeListener();
    this.#setState("disconnected", { code, reason });
  }

  /** Abandons this connection and reconnects with backoff, as after a lost one. @param {string} reason */
  #reconnectWithBackoff(reason) {
    this.#abandonSocket();
    this.#handleClose(CloseCode.ABNORMAL, reason);
  }

  /** Closes the present socket without waiting for its close event: on a dead connection that comes much later. */
  #abandonSocket() {
    const ws = this.#ws;
    this.#resetConnection();
    ws?.close(CloseCode.NORMAL);
  }

  #resetConnection() {
    this.#ws = null;
    this.#attempt = null;
    this.#isResuming = false;
    this.#clock.clearTimeout(this.#retryTimer);
    this.#clock.clearTimeout(this.#watchdog);
    this.#retryTimer = null;
  }

  // Receiving ----------------------------------------------------------------------------------------------------

  /** @param {unknown} data */
  #handleMessage(data) {
    const frame = parse(data);
    this.#lastReceivedAt = this.#clock.now();
    if (frame?.type === FrameType.HELLO) this.#watchdogMs = frame.heartbeat_seconds * 1000 * MAX_SILENT_HEARTBEATS;
    this.#armWatchdog(this.#watchdogMs);
    const verdict = frame && this.#cursor.advance(frame);
    this.#emit("frame", { direction: "in", frame, text: String(data), at: Date.now(), verdict });
    if (!frame) return;

    if (verdict === "gap") return this.#requestResume();
    if (verdict === "drop") return;
    if (frame.type === FrameType.HELLO) this.#handleHello();
    if (frame.type === FrameType.SYNCED) this.#backoff.synced();
    if (isAnswerToResume(frame)) this.#isResuming = false;
    this.#emit("message", frame);
  }

  #handleHello() {
    this.#backoff.connected();
    this.#failure = { code: undefined, reason: "" };
    this.#firstFailures = null;
    this.#setState("connected");
  }

  /**
   * Requests what is missing after the cursor: one request at a time, and within the server's rate limit. Beyond the limit a
   * new connection brings it: at once the first time, with backoff if that connection has repeated gaps as well.
   */
  #requestResume() {
    const now = this.#clock.now();
    this.#resumeTimes = this.#resumeTimes.filter((at) => now - at < MINUTE_MS);
    if (this.#isResuming && now - (this.#resumeTimes.at(-1) ?? -Infinity) < RESUME_TIMEOUT_MS) return;
    if (this.#resumeTimes.length >= MAX_RESUMES_PER_MINUTE) return this.#reconnectForGaps(now);
    this.#isResuming = true;
    this.#resumeTimes.push(now);
    if (this.#cursor.revision !== null) this.send(resume(this.#cursor.revision, this.#cursor.epoch));
  }

  /** @param {number} now */
  #reconnectForGaps(now) {
    const isFirst = now - this.#lastGapReconnect >= MINUTE_MS;
    this.#lastGapReconnect = now;
    if (isFirst) this.reconnect();
    else this.#reconnectWithBackoff("repeated gaps");
  }

  /** A frame must arrive within this time. @param {number} ms */
  #armWatchdog(ms) {
    this.#clock.clearTimeout(this.#watchdog);
    this.#watchdog = this.#clock.setTimeout(() => this.#reconnectWithBackoff("timeout"), ms);
  }

  /** The network or the user is back: retry at once, and test an idle connection, which may have died during sleep. */
  #handleWake() {
    if (this.#retryTimer !== null) return void this.#open();
    if (this.state !== "connected" || this.#clock.now() - this.#lastReceivedAt < PONG_TIMEOUT_MS) return;
    this.#armWatchdog(PONG_TIMEOUT_MS);
    this.send(ping("wake"));
  }

  // Events -------------------------------------------------------------------------------------------------------

  /**
   * @param {Doorbell.State} state
   * @param {{code?: number, reason?: string, retryIn?: number}} [detail]
   */
  #setState(state, { code, reason = "", retryIn } = {}) {
    this.state = state;
    this.#emit("state", { state, code: code ?? null, reason, retryIn: retryIn ?? null });
  }

  /**
   * @param {string} type
   * @param {Doorbell.TracedFrame | Doorbell.Frame | Doorbell.StateChange} detail
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @param {Doorbell.Frame} frame */
function isAnswerToResume(frame) {
  return (
    frame.type === FrameType.SYNCED ||
    frame.type === FrameType.RESET ||
    (frame.type === FrameType.ERROR && frame.ref === null)
  );
}
