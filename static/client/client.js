// What a front end talks to: one user's inbox, kept the same as the server's through every interruption. It reads the
// list over HTTP, follows the socket from there, and reads the list again when the server says `reset`.
//
// Events: `toast` (a Doorbell.Notification nobody has seen here), `change` (a Doorbell.InboxChange: the inbox looks
// different), `presence`, `state` (Doorbell.StateChange), `synced`, `frame` (Doorbell.Crossing: every frame, for a console).

import { systemClock } from "./clock.js";
import { Http } from "./http.js";
import { Inbox, NOTHING } from "./inbox.js";
import { readFirstPage, readOlderPage } from "./list.js";
import { PresenceMap } from "./presence.js";
import { CloseCode, FrameType, socketUrl } from "./protocol.js";
import { DoorbellSocket } from "./socket.js";

const HELD_AT_MOST = 1_000;

export class DoorbellClient extends EventTarget {
  inbox = new Inbox();
  presence = new PresenceMap();
  /** Who the server says we are; null before the first hello. @type {Doorbell.User | null} */
  user = null;

  /** Frames that wait for the list to be read; null when nothing is being read. @type {Doorbell.Frame[] | null} */
  #held = null;
  #reading = new AbortController();
  #starting = false;
  #connection = "";
  #clock;

  /**
   * @param {object} [options]
   * @param {string} [options.base] the server's origin; left out: the page's own
   * @param {string} [options.token] an API token: Bearer for HTTP, tickets for the socket. Left out: the session cookie
   * @param {typeof globalThis.fetch} [options.fetch]
   * @param {Doorbell.WebSocketClass} [options.WebSocket]
   * @param {Doorbell.Clock} [options.clock]
   * @param {Http} [options.http] instead of base, token and fetch for HTTP
   */
  constructor({ base = "", token, fetch, WebSocket, clock = systemClock, http } = {}) {
    super();
    this.#clock = clock;
    this.http = http ?? new Http({ base, token, fetch });
    this.socket = new DoorbellSocket({
      url: (position) => socketUrl(base || globalThis.location.origin, position),
      position: () => this.inbox.position,
      ticket: token ? async () => (await this.http.post("ticket")).ticket : undefined,
      WebSocket,
      clock,
    });
    this.socket.addEventListener("message", (event) => this.#hear(/** @type {CustomEvent} */ (event).detail));
    this.socket.addEventListener("state", (event) => this.#moved(/** @type {CustomEvent} */ (event).detail));
    this.socket.addEventListener("frame", (event) => this.#emit("frame", /** @type {CustomEvent} */ (event).detail));
  }

  /** @returns {Doorbell.State} */
  get state() {
    return this.#starting ? "connecting" : this.socket.state;
  }

  /**
   * Read the list, then follow the socket from its revision on. Resolves when the list is there; while the server can't
   * be reached it keeps trying. Rejects with an ApiError if the server refuses.
   */
  async start() {
    this.#reading = new AbortController();
    this.#starting = true;
    this.#emit("state", { state: this.state, code: null, reason: "", retryIn: null });
    try {
      const page = await readFirstPage(this.http, this.#clock, this.#reading.signal);
      if (!page) return;
      this.inbox.load(page);
    } finally {
      this.#starting = false;
    }
    this.#changed();
    this.socket.connect();
  }

  stop() {
    this.#reading.abort();
    this.socket.disconnect();
  }

  // What a user does ---------------------------------------------------------------------------------------------

  /** @param {number[]} ids */
  markRead(...ids) {
    return this.#mark("notifications/read", { ids }, true);
  }

  markAllRead() {
    return this.#mark("notifications/read", { all: true }, true);
  }

  /** @param {number[]} ids */
  markUnread(...ids) {
    return this.#mark("notifications/unread", { ids }, false);
  }

  /** @param {number} id */
  async remove(id) {
    await this.http.delete(`notifications/${id}`);
    this.inbox.drop(id);
    this.#changed();
  }

  /** The next page of older notifications, put below the others. */
  async loadMore() {
    const before = this.inbox.next;
    if (before === null) return;
    await this.inbox.extend(() => readOlderPage(this.http, before));
    this.#changed();
  }

  /**
   * @param {string} receiver username
   * @param {string} content 1 to 1000 characters
   * @returns {Promise<Doorbell.Message>}
   */
  sendMessage(receiver, content) {
    return this.http.post("messages", { receiver, content });
  }

  /**
   * A page of the conversation with one person, newest first.
   * @param {string} username
   * @param {{before?: number | null, limit?: number}} [page]
   * @returns {Promise<Doorbell.Page<Doorbell.Message>>}
   */
  messages(username, { before, limit } = {}) {
    return this.http.get("messages", { with: username, before, limit });
  }

  /** @param {number} id */
  markMessageRead(id) {
    return this.http.post(`messages/${id}/read`);
  }

  /** When contacts who are offline were last seen. Who is online comes by the socket without asking; call this after `synced`. */
  async readPresence() {
    const connection = this.#connection;
    const { items } = await this.http.get("presence");
    if (connection !== this.#connection) return; // older than the snapshot of the new connection
    if (this.presence.merge(items)) this.#emit("presence", this.presence);
  }

  // What the server says -----------------------------------------------------------------------------------------

  /** @param {Doorbell.Frame} frame */
  #hear(frame) {
    if (frame.type === FrameType.HELLO) this.#greet(frame);
    else if (frame.type === FrameType.RESET) this.#reread();
    else if (this.presence.apply(frame)) this.#emit("presence", this.presence);
    else if (this.#held) this.#hold(frame);
    else this.#apply(frame);
  }

  /** @param {Doorbell.HelloFrame} frame */
  #greet(frame) {
    this.user = frame.user;
    this.#connection = frame.connection_id;
  }

  /** @param {Doorbell.Frame} frame */
  #apply(frame) {
    const { unreadCount } = this.inbox;
    const change = this.inbox.apply(frame);
    if (change === null) return this.socket.reconnect(); // begins from the inbox's own position
    if (frame.type === FrameType.INBOX || unreadCount !== this.inbox.unreadCount) this.#changed(change);
    for (const notification of change.toasts) this.#emit("toast", notification);
    if (frame.type === FrameType.SYNCED) this.#emit("synced", frame);
  }

  /** The list is being read: what comes meanwhile belongs after it. @param {Doorbell.Frame} frame */
  #hold(frame) {
    if (!this.#held || this.#held.push(frame) <= HELD_AT_MOST) return;
    this.socket.reconnect();
  }

  /** Catch-up was impossible: take the list instead, then the frames that came while it was read. */
  async #reread() {
    this.#reading.abort();
    const { signal } = (this.#reading = new AbortController());
    this.#held = [];
    try {
      const page = await readFirstPage(this.http, this.#clock, signal);
      if (!page) return;
      this.inbox.load(page);
    } catch (error) {
      this.#emit("error", error); // refused for good
      return this.stop();
    }
    const held = this.#held ?? [];
    this.#held = null;
    this.#changed();
    for (const frame of held) this.#apply(frame);
    this.#emit("synced", null);
  }

  /** @param {Doorbell.StateChange} change */
  #moved(change) {
    // A connection that is gone takes its held frames along: the next one begins from the inbox as it stands.
    if (change.state !== "connected" && this.#held) {
      this.#reading.abort();
      this.#held = null;
    }
    if (change.code === CloseCode.SIGNED_OUT || change.code === CloseCode.UNAUTHENTICATED) this.user = null;
    this.#emit("state", change);
  }

  /**
   * @param {string} path
   * @param {{ids: number[]} | {all: true}} body
   * @param {boolean} isRead
   */
  async #mark(path, body, isRead) {
    /** @type {Doorbell.ReadAnswer} */
    const answer = await this.http.post(path, body);
    this.inbox.applyAnswer(answer, isRead);
    this.#changed({ ...NOTHING, read: isRead ? answer.ids : [] });
    return answer;
  }

  /** @param {Doorbell.InboxChange} [change] */
  #changed(change = NOTHING) {
    this.#emit("change", change);
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
