// One connection that keeps itself alive: connecting, connected, disconnected. It hands on an unbroken run of frames
// (`message`): duplicates are dropped, and after a gap nothing passes until a resume has brought what was missing.
//
// Events: `state` (Doorbell.StateChange), `message` (a Doorbell.Frame to apply), `frame` (Doorbell.Crossing, all traffic).

import { Backoff } from "./backoff.js";
import { systemClock } from "./clock.js";
import { Cursor } from "./cursor.js";
import {
  CloseCode,
  FrameType,
  RESUMES_PER_MINUTE,
  SILENT_HEARTBEATS,
  SUBPROTOCOL,
  TICKET_PREFIX,
  closePolicy,
  parse,
  ping,
  resume,
} from "./protocol.js";
import { onWake } from "./wake.js";

const HELLO_WITHIN_MS = 15_000;
const PONG_WITHIN_MS = 5_000;
const RESUME_WITHIN_MS = 10_000;
const MINUTE_MS = 60_000;
const RESUMES_AT_MOST = RESUMES_PER_MINUTE - 1; // the server's minute isn't ours

export class DoorbellSocket extends EventTarget {
  /** @type {Doorbell.State} */
  state = "disconnected";

  /** @type {Doorbell.WebSocketLike | null} */
  #ws = null;
  /** Lets an `#open` that waited for its ticket see whether it is still wanted. @type {symbol | null} */
  #attempt = null;
  #cursor = new Cursor(null);
  #silenceMs = HELLO_WITHIN_MS;
  #lastHeard = 0;
  #resuming = false;
  /** When it asked for what was missing, within the last minute. @type {number[]} */
  #resumes = [];
  /** When it last reconnected because that didn't help. */
  #lastRemedy = -Infinity;
  /** @type {unknown} */
  #retryTimer = null;
  /** @type {unknown} */
  #watchdog = null;
  #stopListening = () => {};

  #url;
  #position;
  #ticket;
  #WebSocket;
  #clock;
  #backoff;

  /**
   * @param {object} options
   * @param {(position: Doorbell.Position | null) => string} options.url
   * @param {() => Doorbell.Position | null} [options.position] where to go on; asked at each connect
   * @param {() => Promise<string>} [options.ticket] a fresh one for each connect; without it the cookie speaks
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
    this.#stopListening = onWake(() => this.#wake());
    this.#open();
  }

  /** Hang up for good; `code` and `reason` are what `state` will say about it. */
  disconnect(code = /** @type {number} */ (CloseCode.NORMAL), reason = "") {
    if (this.state === "disconnected") return;
    this.#hangUp();
    this.#stop(code, reason);
  }

  /** Give this connection up and begin a new one, at once. */
  reconnect() {
    if (this.state === "disconnected") return;
    this.#hangUp();
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
    this.#setState("connecting");
    if (!this.#ticket) return this.#listen([SUBPROTOCOL]);

    const attempt = (this.#attempt = Symbol("attempt"));
    try {
      const ticket = await this.#ticket();
      if (attempt === this.#attempt) this.#listen([SUBPROTOCOL, TICKET_PREFIX + ticket]);
    } catch (error) {
      if (attempt === this.#attempt) this.#ticketRefused(error);
    }
  }

  /** @param {string[]} protocols */
  #listen(protocols) {
    const position = this.#position();
    this.#cursor = new Cursor(position);
    this.#silenceMs = HELLO_WITHIN_MS;
    const ws = new this.#WebSocket(this.#url(position), protocols);
    this.#ws = ws;
    ws.addEventListener("message", (event) => ws === this.#ws && this.#hear(event.data));
    ws.addEventListener("close", (event) => ws === this.#ws && this.#closed(event.code, event.reason));
    this.#expect(this.#silenceMs);
  }

  /** @param {any} error */
  #ticketRefused(error) {
    const isFinal = error?.status === 401 || error?.status === 403;
    this.#closed(isFinal ? CloseCode.UNAUTHENTICATED : CloseCode.ABNORMAL, String(error?.message ?? error));
  }

  // Closing ------------------------------------------------------------------------------------------------------

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    this.#forget();
    if (closePolicy(code) === "stop") return this.#stop(code, reason);
    const retryIn = this.#backoff.next(code);
    this.#retryTimer = this.#clock.setTimeout(() => this.#open(), retryIn);
    this.#setState("connecting", { code, reason, retryIn });
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #stop(code, reason) {
    this.#stopListening();
    this.#setState("disconnected", { code, reason });
  }

  /** This connection is no good; try another one as after a broken line. @param {string} reason */
  #giveUp(reason) {
    this.#hangUp();
    this.#closed(CloseCode.ABNORMAL, reason);
  }

  /** Leave the present socket without waiting for its goodbye: a dead one never says it. */
  #hangUp() {
    const ws = this.#ws;
    this.#forget();
    ws?.close(CloseCode.NORMAL);
  }

  #forget() {
    this.#ws = null;
    this.#attempt = null;
    this.#resuming = false;
    this.#clock.clearTimeout(this.#retryTimer);
    this.#clock.clearTimeout(this.#watchdog);
    this.#retryTimer = null;
  }

  // Hearing and watching -----------------------------------------------------------------------------------------

  /** @param {unknown} data */
  #hear(data) {
    const frame = parse(data);
    this.#lastHeard = this.#clock.now();
    if (frame?.type === FrameType.HELLO) this.#silenceMs = frame.heartbeat_seconds * 1000 * SILENT_HEARTBEATS;
    this.#expect(this.#silenceMs);
    const verdict = frame && this.#cursor.take(frame);
    this.#emit("frame", { direction: "in", frame, text: String(data), at: Date.now(), verdict });
    if (!frame) return;

    if (verdict === "gap") return this.#resume();
    if (verdict === "drop") return;
    if (frame.type === FrameType.HELLO) this.#greeted();
    if (frame.type === FrameType.SYNCED) this.#backoff.synced();
    if (isAnswerToResume(frame)) this.#resuming = false;
    this.#emit("message", frame);
  }

  #greeted() {
    this.#backoff.connected();
    this.#setState("connected");
  }

  /**
   * Ask for what is missing after the cursor: one at a time, and no oftener than the server takes it. Beyond that a new
   * connection brings it: at once, but should there be gap after gap on that one too, as after a broken line.
   */
  #resume() {
    const now = this.#clock.now();
    this.#resumes = this.#resumes.filter((at) => now - at < MINUTE_MS);
    if (this.#resuming && now - (this.#resumes.at(-1) ?? -Infinity) < RESUME_WITHIN_MS) return;
    if (this.#resumes.length >= RESUMES_AT_MOST) return this.#remedy(now);
    this.#resuming = true;
    this.#resumes.push(now);
    if (this.#cursor.revision !== null) this.send(resume(this.#cursor.revision, this.#cursor.epoch));
  }

  /** @param {number} now */
  #remedy(now) {
    const isFirst = now - this.#lastRemedy >= MINUTE_MS;
    this.#lastRemedy = now;
    if (isFirst) this.reconnect();
    else this.#giveUp("gap after gap");
  }

  /** Something must be heard within this time. @param {number} ms */
  #expect(ms) {
    this.#clock.clearTimeout(this.#watchdog);
    this.#watchdog = this.#clock.setTimeout(() => this.#giveUp("silence"), ms);
  }

  /** The network or the user is back: don't wait for a retry, and don't trust a connection that slept. */
  #wake() {
    if (this.#retryTimer !== null) return void this.#open();
    if (this.state !== "connected" || this.#clock.now() - this.#lastHeard < PONG_WITHIN_MS) return;
    this.#expect(PONG_WITHIN_MS);
    this.send(ping("wake"));
  }

  // Telling ------------------------------------------------------------------------------------------------------

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
   * @param {Doorbell.Crossing | Doorbell.Frame | Doorbell.StateChange} detail
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
