// What a front end talks to: one user's inbox, kept the same as the server's through every interruption. Where the browser
// can, the tabs of one user share one connection; to the page there is no difference.
//
// Events: `toast` (a Doorbell.Notification nobody has seen here, in the one tab that is to show it), `change` (a
// Doorbell.InboxChange: the inbox looks different), `presence`, `state` (Doorbell.StateChange), `synced`, `role`
// (Doorbell.Role), `frame` (Doorbell.Crossing: every frame, for a console), `error` (the server refused to answer).

import { Http } from "./http.js";
import { Inbox, NOTHING } from "./inbox.js";
import { chooseLine } from "./lines.js";
import { readOlderPage } from "./list.js";
import { PresenceMap } from "./presence.js";
import { CloseCode, FrameType } from "./protocol.js";

export class DoorbellClient extends EventTarget {
  inbox = new Inbox();
  presence = new PresenceMap();
  /** Who the server says we are; null before the first hello. @type {Doorbell.User | null} */
  user = null;

  /** @type {Doorbell.StateChange} */
  #state = { state: "disconnected", code: null, reason: "", retryIn: null };
  #connection = "";
  /** The user whose inbox this is, as soon as it is known, and then for good. @type {number | null} */
  #owner;
  /** From start to stop. @type {ReturnType<typeof deferred> | null} */
  #started = null;
  /** @type {Doorbell.Line} */
  #line;

  /** @param {Doorbell.ClientOptions} [options] */
  constructor(options = {}) {
    super();
    this.http = options.http ?? new Http(options);
    this.#owner = options.user?.id ?? null;
    this.#line = chooseLine({ ...options, http: this.http }, {
      position: () => this.inbox.position,
      snapshot: () => this.#snapshot(),
      recognise: (id) => this.#recognise(id),
    });
    this.#listen();
  }

  /** @returns {Doorbell.State} */
  get state() {
    return this.#state.state;
  }

  /** Who holds the connection: this tab for itself, this tab for all, or another tab. @returns {Doorbell.Role} */
  get role() {
    return this.#line.role;
  }

  /**
   * Get the list, then follow what happens. Resolves when the list is there; while the server can't be reached it keeps
   * trying. Rejects with an ApiError if the server refuses.
   */
  start() {
    if (this.#started) return this.#started.promise;
    const started = (this.#started = deferred());
    this.#line.start();
    if (this.inbox.position) started.resolve();
    return started.promise;
  }

  stop() {
    this.#line.stop();
    this.#ended();
  }

  /** Try now, or connect again: whatever there is of a connection is given up for a new one. */
  reconnect() {
    if (this.#started) this.#line.reconnect();
    else this.start().catch(() => {});
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
   * @returns {Promise<Doorbell.Messages>}
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

  // The line -----------------------------------------------------------------------------------------------------

  #listen() {
    /** @type {<T>(type: string, listener: (detail: T) => void) => void} */
    const on = (type, listener) => {
      this.#line.addEventListener(type, (event) => listener(/** @type {CustomEvent} */ (event).detail));
    };
    on("page", (/** @type {Doorbell.InboxPage} */ page) => this.#load(page));
    on("snapshot", (/** @type {Doorbell.Snapshot} */ snapshot) => this.#restore(snapshot));
    on("message", (/** @type {Doorbell.Delivery} */ delivery) => this.#hear(delivery));
    on("state", (/** @type {Doorbell.StateChange} */ change) => this.#moved(change));
    on("error", (error) => this.#refused(error));
    for (const type of ["frame", "role"]) on(type, (detail) => this.#emit(type, detail));
  }

  /** What another tab needs to begin from. @returns {Doorbell.Snapshot | null} */
  #snapshot() {
    const { page } = this.inbox;
    if (!page) return null;
    return { page, presence: [...this.presence], user: this.user, connection: this.#connection, state: this.#state };
  }

  /** @param {Doorbell.Snapshot} snapshot */
  #restore({ page, presence, user, connection, state }) {
    const isNew = this.inbox.isBehind(page);
    if (isNew) this.inbox.load(page);
    this.presence.restore(presence);
    this.user = user;
    this.#connection = connection;
    this.#moved(state);
    this.#emit("presence", this.presence);
    if (isNew) this.#loaded();
    if (state.state === "connected") this.#emit("synced", null);
  }

  /** @param {Doorbell.InboxPage} page */
  #load(page) {
    this.inbox.load(page);
    this.#loaded();
  }

  #loaded() {
    this.#changed();
    this.#started?.resolve();
  }

  // What the server says -----------------------------------------------------------------------------------------

  /** @param {Doorbell.Delivery} delivery */
  #hear({ frame, isOurs }) {
    if (frame.type === FrameType.HELLO) this.#greet(frame);
    else if (this.presence.apply(frame)) this.#emit("presence", this.presence);
    else this.#apply(frame, isOurs);
  }

  /** @param {Doorbell.HelloFrame} frame */
  #greet(frame) {
    if (!this.#recognise(frame.user.id)) return;
    this.user = frame.user;
    this.#connection = frame.connection_id;
  }

  /**
   * Is it still the one whose inbox this is? If the cookie is somebody else's by now, this page's user has been signed
   * out, and neither may see what is the other's.
   * @param {number} id
   */
  #recognise(id) {
    this.#owner ??= id;
    if (id === this.#owner) return true;
    this.#line.stop(CloseCode.SIGNED_OUT, "Somebody else is signed in.");
    return false;
  }

  /**
   * @param {Doorbell.Frame} frame
   * @param {boolean} isOurs is it this tab that shows what is new?
   */
  #apply(frame, isOurs) {
    const { unreadCount } = this.inbox;
    const change = this.inbox.apply(frame);
    if (change === null) return this.#line.recover();
    if (frame.type === FrameType.INBOX || unreadCount !== this.inbox.unreadCount) this.#changed(change);
    if (isOurs) for (const notification of change.toasts) this.#emit("toast", notification);
    if (frame.type === FrameType.SYNCED) this.#emit("synced", frame);
  }

  /** @param {unknown} error */
  #refused(error) {
    this.#started?.reject(error);
    this.#emit("error", error);
  }

  /** @param {Doorbell.StateChange} change */
  #moved(change) {
    this.#state = change;
    if (change.code === CloseCode.SIGNED_OUT || change.code === CloseCode.UNAUTHENTICATED) this.user = null;
    if (change.state === "disconnected") this.#ended();
    this.#emit("state", change);
  }

  #ended() {
    this.#started?.resolve(); // nothing happens if it was settled
    this.#started = null;
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

function deferred() {
  /** @type {{resolve: () => void, reject: (error: unknown) => void}} */
  let settle = { resolve() {}, reject() {} };
  const promise = /** @type {Promise<void>} */ (new Promise((resolve, reject) => (settle = { resolve, reject })));
  return { promise, ...settle };
}
