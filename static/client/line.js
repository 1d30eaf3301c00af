// What keeps one inbox up to date: the list over HTTP, then the socket from its revision on, and the list again when the
// server says `reset`. It holds no state of the inbox; what it emits is to be applied in the order in which it comes.
//
// Events: `page` (a Doorbell.InboxPage to begin anew with), `message` (Doorbell.Delivery), `state` (Doorbell.StateChange),
// `frame` (Doorbell.Crossing, all traffic), `error` (the list was refused; `state` follows).

import { Http, endOf } from "./http.js";
import { persist, readFirstPage } from "./list.js";
import { CloseCode, FrameType } from "./protocol.js";
import { DoorbellSocket } from "./socket.js";

const HELD_AT_MOST = 1_000;

/** @implements {Doorbell.Line} */
export class Line extends EventTarget {
  /** @type {Doorbell.Role} */
  role = "alone";

  /** Frames that wait for the list to be read; null when nothing waits for it. @type {Doorbell.Frame[] | null} */
  #held = null;
  #reading = new AbortController();
  #isStarting = false;
  #http;
  #position;
  #clock;
  #socket;

  /**
   * @param {object} options
   * @param {Http} options.http
   * @param {() => Doorbell.Position | null} options.position where the inbox stands; null: it needs the list first
   * @param {(position: Doorbell.Position | null) => string} options.url
   * @param {() => Promise<string>} [options.ticket]
   * @param {Doorbell.WebSocketClass} [options.WebSocket]
   * @param {Doorbell.Clock} options.clock
   */
  constructor({ http, position, url, ticket, WebSocket, clock }) {
    super();
    this.#http = http;
    this.#position = position;
    this.#clock = clock;
    this.#socket = new DoorbellSocket({ url, position, ticket, WebSocket, clock });
    this.#socket.addEventListener("message", (event) => this.#hear(/** @type {CustomEvent} */ (event).detail));
    this.#socket.addEventListener("state", (event) => this.#moved(/** @type {CustomEvent} */ (event).detail));
    this.#socket.addEventListener("frame", (event) => this.#emit("frame", /** @type {CustomEvent} */ (event).detail));
  }

  /** Read the list unless the inbox has one, then connect. While the server can't be reached it keeps trying. */
  async start() {
    if (this.#position() === null) {
      this.#isStarting = true;
      this.#emit("state", { state: "connecting", code: null, reason: "", retryIn: null });
      if (!(await this.#read())) return;
      this.#isStarting = false;
    }
    this.#socket.connect();
  }

  /** For good. `code` and `reason` are what `state` will say about it. */
  stop(code = /** @type {number} */ (CloseCode.NORMAL), reason = "") {
    this.#reading.abort();
    this.#held = null;
    if (this.#isStarting) this.#emit("state", { state: "disconnected", code, reason, retryIn: null });
    this.#isStarting = false;
    this.#socket.disconnect(code, reason);
  }

  /** Try now: whatever there is of a connection is given up for a new one. */
  reconnect() {
    if (this.#socket.state === "disconnected") this.start();
    else this.#socket.reconnect();
  }

  /** The inbox found a gap. A new connection begins from its position. */
  recover() {
    this.#socket.reconnect();
  }

  // The list -----------------------------------------------------------------------------------------------------

  /** @returns {Promise<Doorbell.InboxPage | null>} null if it was refused, or isn't wanted any more */
  async #read() {
    this.#reading.abort();
    const { signal } = (this.#reading = new AbortController());
    try {
      const page = await persist(() => readFirstPage(this.#http, signal), this.#clock, signal);
      if (page) this.#emit("page", page);
      return page;
    } catch (error) {
      this.#refused(error);
      return null;
    }
  }

  /** @param {unknown} error */
  #refused(error) {
    this.#emit("error", error);
    const { code, reason } = endOf(error);
    this.stop(code, reason);
  }

  /** Catch-up was impossible: take the list instead, then the frames that came while it was read. */
  async #reread() {
    this.#held = [];
    const page = await this.#read();
    if (!page) return;
    const held = this.#held ?? [];
    this.#held = null;
    this.#deliver({ type: FrameType.SYNCED, revision: page.revision, unread_count: page.unread_count });
    for (const frame of held) this.#deliver(frame);
  }

  // The socket ---------------------------------------------------------------------------------------------------

  /** @param {Doorbell.Frame} frame */
  #hear(frame) {
    if (frame.type === FrameType.RESET) this.#reread();
    else if (this.#held && isAboutTheInbox(frame)) this.#hold(this.#held, frame);
    else this.#deliver(frame);
  }

  /**
   * The list is being read: what comes meanwhile belongs after it.
   * @param {Doorbell.Frame[]} held
   * @param {Doorbell.Frame} frame
   */
  #hold(held, frame) {
    if (held.push(frame) > HELD_AT_MOST) this.#socket.reconnect();
  }

  /** @param {Doorbell.StateChange} change */
  #moved(change) {
    // A connection that is gone takes its held frames along: the next one begins from the inbox as it stands.
    if (change.state !== "connected" && this.#held) {
      this.#reading.abort();
      this.#held = null;
    }
    this.#emit("state", change);
  }

  /** @param {Doorbell.Frame} frame */
  #deliver(frame) {
    this.#emit("message", { frame, isOurs: true });
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @param {Doorbell.Frame} frame */
function isAboutTheInbox(frame) {
  return frame.type === FrameType.INBOX || frame.type === FrameType.SYNCED || frame.type === FrameType.HEARTBEAT;
}
