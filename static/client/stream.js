// The event stream of one inbox: the list over HTTP, then the socket from the list's revision on, and the list again after
// a `reset` frame. It holds no state of the inbox; its events are to be applied in the order in which they are emitted.
//
// Events: `page` (a Doorbell.InboxPage that replaces the inbox), `message` (Doorbell.Delivery), `state`
// (Doorbell.StateChange), `frame` (Doorbell.TracedFrame: all traffic), `error` (the list was refused; `state` follows).

import { Http, closeDetails, failureReason } from "./http.js";
import { readFirstPage } from "./pages.js";
import { CloseCode, FrameType } from "./protocol.js";
import { retryUntilAnswered } from "./retry.js";
import { DoorbellSocket } from "./socket.js";

const MAX_BUFFERED_FRAMES = 1_000;

/** @implements {Doorbell.Stream} */
export class InboxStream extends EventTarget {
  /** @type {Doorbell.Role} */
  role = "alone";

  /** Frames that arrived while the list is read again; null when it isn't. @type {Doorbell.Frame[] | null} */
  #buffer = null;
  #reading = new AbortController();
  #isReadingFirstPage = false;
  #http;
  #position;
  #clock;
  #socket;

  /**
   * @param {object} options
   * @param {Http} options.http
   * @param {() => Doorbell.Position | null} options.position of the inbox; null: it needs the list first
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
    this.#socket.addEventListener("message", (event) => this.#handleFrame(/** @type {CustomEvent} */ (event).detail));
    this.#socket.addEventListener("state", (event) => this.#handleStateChange(/** @type {CustomEvent} */ (event).detail));
    this.#socket.addEventListener("frame", (event) => this.#emit("frame", /** @type {CustomEvent} */ (event).detail));
  }

  /** Reads the list unless the inbox has one, then connects. Retries while the server can't be reached. */
  async start() {
    if (this.#position() === null) {
      this.#isReadingFirstPage = true;
      this.#emit("state", { state: "connecting", code: null, reason: "", retryIn: null });
      if (!(await this.#read())) return;
      this.#isReadingFirstPage = false;
    }
    this.#socket.connect();
  }

  /** Stops without reconnecting. `code` and `reason` are reported by the `state` event. */
  stop(code = /** @type {number} */ (CloseCode.NORMAL), reason = "") {
    this.#reading.abort();
    this.#buffer = null;
    if (this.#isReadingFirstPage) this.#emit("state", { state: "disconnected", code, reason, retryIn: null });
    this.#isReadingFirstPage = false;
    this.#socket.disconnect(code, reason);
  }

  /** Replaces the connection, or the wait for a retry, with a new connection at once. */
  reconnect() {
    if (this.#socket.state === "disconnected") this.start();
    else this.#socket.reconnect();
  }

  /** The inbox found a gap: a new connection continues from its position. */
  recover() {
    this.#socket.reconnect();
  }

  // The list -----------------------------------------------------------------------------------------------------

  /** @returns {Promise<Doorbell.InboxPage | null>} null if it was refused or aborted */
  async #read() {
    this.#reading.abort();
    const { signal } = (this.#reading = new AbortController());
    try {
      const onFailure = (/** @type {unknown} */ error) => this.#handleFailure(error);
      const page = await retryUntilAnswered(() => readFirstPage(this.#http, signal), this.#clock, signal, onFailure);
      if (page) this.#emit("page", page);
      return page;
    } catch (error) {
      this.#handleRefusal(error);
      return null;
    }
  }

  /** It is tried again. @param {unknown} error */
  #handleFailure(error) {
    if (this.#isReadingFirstPage) this.#emit("state", { state: "connecting", code: null, reason: failureReason(error), retryIn: null });
  }

  /** @param {unknown} error */
  #handleRefusal(error) {
    this.#emit("error", error);
    const { code, reason } = closeDetails(error);
    this.stop(code, reason);
  }

  /** Catch-up was impossible: emit the list instead, then the frames that arrived while it was read. */
  async #reread() {
    this.#buffer = [];
    const page = await this.#read();
    if (!page) return;
    const buffered = this.#buffer ?? [];
    this.#buffer = null;
    this.#deliver({ type: FrameType.SYNCED, revision: page.revision, unread_count: page.unread_count });
    for (const frame of buffered) this.#deliver(frame);
  }

  // The socket ---------------------------------------------------------------------------------------------------

  /** @param {Doorbell.Frame} frame */
  #handleFrame(frame) {
    if (frame.type === FrameType.RESET) this.#reread();
    else if (this.#buffer && carriesRevision(frame)) this.#enqueue(this.#buffer, frame);
    else this.#deliver(frame);
  }

  /**
   * The list is being read: frames that arrive meanwhile belong after it.
   * @param {Doorbell.Frame[]} buffer
   * @param {Doorbell.Frame} frame
   */
  #enqueue(buffer, frame) {
    if (buffer.push(frame) > MAX_BUFFERED_FRAMES) this.#socket.reconnect();
  }

  /** @param {Doorbell.StateChange} change */
  #handleStateChange(change) {
    // The buffered frames end with their connection: the next one continues from the inbox's position.
    if (change.state !== "connected" && this.#buffer) {
      this.#reading.abort();
      this.#buffer = null;
    }
    this.#emit("state", change);
  }

  /** @param {Doorbell.Frame} frame */
  #deliver(frame) {
    this.#emit("message", { frame, showHere: true });
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
function carriesRevision(frame) {
  return frame.type === FrameType.INBOX || frame.type === FrameType.SYNCED || frame.type === FrameType.HEARTBEAT;
}
