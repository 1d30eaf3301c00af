// The client's public interface: one user's inbox, kept equal to the server's through every interruption. Where the browser
// supports it, the tabs of one user share one connection; the page sees no difference.
//
// Events: `toast` (a Doorbell.Notification that is new in this browser; only in the tab that shows it), `change` (a
// Doorbell.InboxChange: render the inbox again), `presence`, `state` (Doorbell.StateChange), `synced`, `role`
// (Doorbell.Role), `frame` (Doorbell.TracedFrame: every frame, for a console), `error` (the server refused the list).

import { chooseStream } from "./choose-stream.js";
import { Http } from "./http.js";
import { Inbox, NO_CHANGE } from "./inbox.js";
import { readOlderPage } from "./pages.js";
import { PresenceMap } from "./presence.js";
import { CloseCode, FrameType } from "./protocol.js";

export class DoorbellClient extends EventTarget {
  inbox = new Inbox();
  presence = new PresenceMap();
  /** The user that the server has authenticated; null before the first hello. @type {Doorbell.User | null} */
  user = null;

  /** @type {Doorbell.StateChange} */
  #state = { state: "disconnected", code: null, reason: "", retryIn: null };
  #connectionId = "";
  /** Id of the user whose inbox this is. Once known, it never changes. @type {Doorbell.UserId | null} */
  #owner;
  /** Settled when the list is there; null when not started. @type {ReturnType<typeof deferred> | null} */
  #started = null;
  /** @type {Doorbell.Stream} */
  #stream;

  /** @param {Doorbell.ClientOptions} [options] */
  constructor(options = {}) {
    super();
    this.http = options.http ?? new Http(options);
    this.#owner = options.user?.id ?? null;
    this.#stream = chooseStream({ ...options, http: this.http }, {
      position: () => this.inbox.position,
      snapshot: () => this.#createSnapshot(),
      verifyUser: (id) => this.#verifyUser(id),
    });
    this.#listen();
  }

  /** @returns {Doorbell.State} */
  get state() {
    return this.#state.state;
  }

  /** The last `state` event's detail. @returns {Doorbell.StateChange} */
  get connection() {
    return this.#state;
  }

  /** Whether this tab has a connection of its own, holds the one that tabs share, or follows the tab that does. @returns {Doorbell.Role} */
  get role() {
    return this.#stream.role;
  }

  /**
   * Reads the list, then follows its changes. Resolves when the list is there; retries while the server can't be reached.
   * Rejects with an ApiError if the server refuses.
   */
  start() {
    if (this.#started) return this.#started.promise;
    const started = (this.#started = deferred());
    this.#stream.start();
    if (this.inbox.position) started.resolve();
    return started.promise;
  }

  stop() {
    this.#stream.stop();
    this.#settleStart();
  }

  /** Replaces the connection, or the wait for a retry, with a new connection at once. */
  reconnect() {
    if (this.#started) this.#stream.reconnect();
    else this.start().catch(() => {});
  }

  // Changes ------------------------------------------------------------------------------------------------------

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
    this.#emitChange();
  }

  /**
   * Does what a notification offers by POST, at the server, with this client's login. Rejected if the server refuses.
   * @param {{url: string}} action
   */
  async perform({ url }) {
    await this.http.submit(url);
  }

  /** Loads the next page of older notifications and appends it. */
  async loadMore() {
    const before = this.inbox.next;
    if (before === null) return;
    await this.inbox.extend(() => readOlderPage(this.http, before));
    this.#emitChange();
  }

  /**
   * Rejected with 404 `not_found` where the server's DOORBELL_MESSAGES is off.
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

  /** Blocks a user: nothing of theirs reaches this one any more. @param {string} username @returns {Promise<Doorbell.Block>} */
  block(username) {
    return this.http.post("blocks", { username });
  }

  /** @param {Doorbell.UserId} userId */
  unblock(userId) {
    return this.http.delete(`blocks/${encodeURIComponent(userId)}`);
  }

  /** A page of those whom the user has blocked. @param {{before?: number | null, limit?: number}} [page] @returns {Promise<Doorbell.Blocks>} */
  blocks({ before, limit } = {}) {
    return this.http.get("blocks", { before, limit });
  }

  /** Reads when offline contacts were last seen. Call it after `synced`; who is online comes over the socket by itself. */
  async readPresence() {
    const connectionId = this.#connectionId;
    const { items } = await this.http.get("presence");
    if (connectionId !== this.#connectionId) return; // older than the new connection's presence_state
    if (this.presence.merge(items)) this.#emit("presence", this.presence);
  }

  // The stream ---------------------------------------------------------------------------------------------------

  #listen() {
    /** @type {<T>(type: string, listener: (detail: T) => void) => void} */
    const on = (type, listener) => {
      this.#stream.addEventListener(type, (event) => listener(/** @type {CustomEvent} */ (event).detail));
    };
    on("page", (/** @type {Doorbell.InboxPage} */ page) => this.#loadPage(page));
    on("snapshot", (/** @type {Doorbell.Snapshot} */ snapshot) => this.#restoreSnapshot(snapshot));
    on("message", (/** @type {Doorbell.Delivery} */ delivery) => this.#handleDelivery(delivery));
    on("state", (/** @type {Doorbell.StateChange} */ change) => this.#handleStateChange(change));
    on("error", (error) => this.#handleError(error));
    for (const type of ["frame", "role"]) on(type, (detail) => this.#emit(type, detail));
  }

  /** The state from which another tab can start. @returns {Doorbell.Snapshot | null} */
  #createSnapshot() {
    const { page } = this.inbox;
    if (!page) return null;
    return { page, presence: [...this.presence], user: this.user, connectionId: this.#connectionId, state: this.#state };
  }

  /** @param {Doorbell.Snapshot} snapshot */
  #restoreSnapshot({ page, presence, user, connectionId, state }) {
    const isNew = this.inbox.isBehind(page);
    if (isNew) this.inbox.load(page);
    this.presence.restore(presence);
    this.user = user;
    this.#connectionId = connectionId;
    this.#handleStateChange(state);
    this.#emit("presence", this.presence);
    if (isNew) this.#announceLoaded();
    if (state.state === "connected") this.#emit("synced", null);
  }

  /** @param {Doorbell.InboxPage} page */
  #loadPage(page) {
    this.inbox.load(page);
    this.#announceLoaded();
  }

  #announceLoaded() {
    this.#emitChange();
    this.#started?.resolve();
  }

  // Frames -------------------------------------------------------------------------------------------------------

  /** @param {Doorbell.Delivery} delivery */
  #handleDelivery({ frame, showHere }) {
    if (frame.type === FrameType.HELLO) this.#handleHello(frame);
    else if (this.presence.apply(frame)) this.#emit("presence", this.presence);
    else this.#applyToInbox(frame, showHere);
  }

  /** @param {Doorbell.HelloFrame} frame */
  #handleHello(frame) {
    if (!this.#verifyUser(frame.user.id)) return;
    this.user = frame.user;
    this.#connectionId = frame.connection_id;
  }

  /**
   * Whether this user is the inbox's owner; stops the stream if not. If the cookie belongs to another user by now, this
   * page's user has been signed out, and neither may see the other's notifications.
   * @param {Doorbell.UserId} id
   */
  #verifyUser(id) {
    this.#owner ??= id;
    if (String(id) === String(this.#owner)) return true;
    this.#stream.stop(CloseCode.SIGNED_OUT, "Another user is signed in.");
    return false;
  }

  /**
   * @param {Doorbell.Frame} frame
   * @param {boolean} showHere whether this tab shows the toasts
   */
  #applyToInbox(frame, showHere) {
    const { unreadCount } = this.inbox;
    const change = this.inbox.apply(frame);
    if (change === null) return this.#stream.recover();
    if (frame.type === FrameType.INBOX || unreadCount !== this.inbox.unreadCount) this.#emitChange(change);
    if (showHere) for (const notification of change.toasts) this.#emit("toast", notification);
    if (frame.type === FrameType.SYNCED) this.#emit("synced", frame);
  }

  /** @param {unknown} error */
  #handleError(error) {
    this.#started?.reject(error);
    this.#emit("error", error);
  }

  /** @param {Doorbell.StateChange} change */
  #handleStateChange(change) {
    this.#state = change;
    if (change.code === CloseCode.SIGNED_OUT || change.code === CloseCode.UNAUTHENTICATED) this.user = null;
    if (change.state === "disconnected") this.#settleStart();
    this.#emit("state", change);
  }

  #settleStart() {
    this.#started?.resolve(); // no effect if it is settled already
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
    this.#emitChange({ ...NO_CHANGE, read: isRead ? answer.ids : [] });
    return answer;
  }

  /** @param {Doorbell.InboxChange} [change] */
  #emitChange(change = NO_CHANGE) {
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
