// One person's side of the window: a client of their own over a line of their own, and all that they see of it.

import { DoorbellClient } from "../client/client.js";
import { Http } from "../client/http.js";
import { CloseCode, FrameType } from "../client/protocol.js";
import { DoorbellBell } from "../bell/bell.js";
import { DoorbellList } from "../bell/list.js";
import { DoorbellToasts } from "../toast/toast.js";
import { Audit } from "./audit.js";
import { ConnectionView } from "./connection.js";
import { ConversationView } from "./conversation.js";
import { avatar, el, named, part } from "./dom.js";
import { HidingView } from "./hiding.js";
import { Line } from "./line.js";
import { PeopleView } from "./people.js";

const ERROR_TOAST = "demo-error";

export class Seat extends EventTarget {
  line = new Line();
  #askedAt = performance.now();

  /**
   * Events: `leave` (this person wants to go), `crossing` (detail: a Demo.Crossing), `ended` (the login is over).
   * @param {HTMLElement} root the seat's markup
   * @param {object} options
   * @param {Doorbell.User} options.user
   * @param {string} [options.token] left out: the window's own login, by its cookie
   * @param {(username: string) => string} options.fullName
   * @param {DoorbellToasts} options.toasts
   */
  constructor(root, { user, token, fullName, toasts }) {
    super();
    this.root = root;
    this.user = user;
    this.token = token;
    this.name = fullName(user.username);
    this.toasts = toasts;
    /** Past the line, for what must get through. */
    this.http = new Http({ token });
    const { fetch, WebSocket } = this.line;
    // The window's own login shares its socket with the other tabs; a second person's is this window's alone.
    this.client = new DoorbellClient({ user, token, fetch, WebSocket, ...(token ? { share: false } : {}) });
    const { client } = this;
    const attempt = (/** @type {() => Promise<unknown>} */ action) => void this.attempt(action);

    part(root, "me").replaceChildren(named(this.name));
    part(root, "me").id = `seat-${user.id}`;
    part(root, "me").parentElement?.before(avatar(user.username, this.name));
    root.dataset.testid = `seat-${user.username}`;
    root.setAttribute("aria-label", this.name);
    for (const labelled of root.querySelectorAll("[data-label]")) {
      labelled.setAttribute("aria-label", `${this.name}: ${labelled.getAttribute("data-label")}`);
    }
    part(root, "sign-out").textContent = token ? "Leave" : "Sign out";
    part(root, "sign-out").addEventListener("click", () => this.dispatchEvent(new Event("leave")));

    const bell = /** @type {DoorbellBell} */ (part(root, "bell"));
    const list = /** @type {DoorbellList} */ (part(root, "list"));
    bell.toggleAttribute("no-title", Boolean(token));
    bell.client = list.client = client;
    new ConnectionView(root, client);
    this.hiding = new HidingView(root, client, attempt);
    this.people = new PeopleView(root, client, fullName, attempt);
    const conversation = new ConversationView(root, client, fullName, attempt);
    this.audit = new Audit(client, this.http, () => Number(root.querySelector('[data-testid="badge"]')?.getAttribute("data-count")));

    this.people.addEventListener("choose", (event) => attempt(() => conversation.open(detail(event))));
    root.addEventListener("notification-open", (event) => this.#open(event));
    root.addEventListener("notification-error", (event) => this.#report(detail(event)));
    part(root, "read-all").addEventListener("click", () => attempt(() => client.markAllRead()));
    client.addEventListener("toast", (event) => toasts.show(this.#addressed(detail(event))));
    toasts.addEventListener("toast-open", (event) => this.#openToast(event));
    client.addEventListener("change", (event) => this.#changed(detail(event)));
    client.addEventListener("synced", () => attempt(() => client.readPresence()));
    client.addEventListener("error", (event) => this.#report(detail(event)));
    client.addEventListener("state", (event) => this.#moved(detail(event)));
    client.addEventListener("frame", (event) => this.#crossed(detail(event)));
    this.line.addEventListener("crossing", (event) => this.#tell(detail(event)));
  }

  /** Is the login over? Then a veil covers the seat until somebody signs in again. */
  get isSignedOut() {
    return !part(this.root, "veil").hidden;
  }

  async open() {
    await this.attempt(() => Promise.all([this.client.start(), this.people.load(), this.hiding.load()]));
  }

  focus() {
    part(this.root, "me").focus({ preventScroll: true });
  }

  /** The way around the lists, for the keyboard, to whoever sits beside. @param {Seat} [next] */
  leadTo(next) {
    const skip = /** @type {HTMLAnchorElement} */ (part(this.root, "skip"));
    skip.hidden = !next;
    if (!next) return;
    skip.href = `#seat-${next.user.id}`;
    skip.replaceChildren(el("span", {}, "To ", named(next.name)));
  }

  close() {
    this.audit.close();
    this.client.stop();
    this.toasts.remove();
    this.root.remove();
  }

  /** @param {() => Promise<unknown>} action */
  async attempt(action) {
    try {
      await action();
    } catch (error) {
      if (/** @type {any} */ (error)?.status === 401) this.#ended("The login has ended.");
      else this.#report(error);
    }
  }

  /** A notification about a message leads to its conversation. @param {Event} event */
  #open(event) {
    const { actor, message_id } = detail(event);
    if (!actor || !message_id) return;
    event.preventDefault();
    this.people.choose(actor);
    part(this.root, "conversation-heading").parentElement?.scrollIntoView({ block: "nearest" });
  }

  /** A toast says "Open" if it has an address: where there is a conversation to go to, it gets one. @param {Doorbell.Notification} row */
  #addressed(row) {
    return row.url || !row.actor || !row.message_id ? row : { ...row, url: `#seat-${this.user.id}` };
  }

  /** What is opened has been read. @param {Event} event */
  #openToast(event) {
    const { id } = detail(event);
    if (this.client.inbox.get(id)?.is_read === false) this.attempt(() => this.client.markRead(id));
    this.#open(event);
  }

  /** @param {Doorbell.InboxChange} change */
  #changed({ read, removed }) {
    // Not `disabled`, which would take the focus away from whoever pressed it.
    part(this.root, "read-all").setAttribute("aria-disabled", String(this.client.inbox.unreadCount === 0));
    // What was read or removed anywhere needs no toast any more.
    for (const id of [...read, ...removed]) this.toasts.dismiss(id);
  }

  /** @param {Doorbell.StateChange} change */
  #moved({ state, code }) {
    if (state === "connecting") this.#askedAt = performance.now();
    if (code === CloseCode.SIGNED_OUT) this.#ended("Signed out elsewhere. The server closed the socket with code 4503, and the client has stopped: it doesn't knock again.");
    if (code === CloseCode.UNAUTHENTICATED) this.#ended("The login has ended.");
  }

  /** @param {string} why */
  #ended(why) {
    if (this.isSignedOut) return;
    const veil = part(this.root, "veil");
    part(veil, "veil-text").textContent = why;
    veil.hidden = false;
    for (const covered of [...this.root.children]) /** @type {HTMLElement} */ (covered).inert = covered !== veil;
    this.client.stop();
    this.toasts.clear();
    part(veil, "again").focus({ preventScroll: true });
    this.dispatchEvent(new Event("ended"));
  }

  /** A frame that the client sent or heard, also one that another tab's socket brought. @param {any} crossing */
  #crossed({ direction, frame, text, at, verdict }) {
    if (direction === "out") this.#askedAt = performance.now();
    const note = VERDICTS[/** @type {keyof typeof VERDICTS} */ (verdict)] ?? "";
    this.#tell({ direction, frame, text, at, latency: direction === "in" ? this.#latency(frame) : null, note });
  }

  /** Milliseconds since it was asked for, or since the newest row was made. @param {Doorbell.Frame | null} frame */
  #latency(frame) {
    if (frame?.type === FrameType.INBOX && !frame.replayed && frame.added?.length) {
      return Math.max(0, Date.now() - Math.max(...frame.added.map((row) => Date.parse(row.created_at))));
    }
    const isAnswer = frame?.type === FrameType.HELLO || frame?.type === FrameType.PONG || frame?.type === FrameType.SYNCED;
    return isAnswer ? performance.now() - this.#askedAt : null;
  }

  /** @param {Demo.Crossing} crossing */
  #tell(crossing) {
    this.dispatchEvent(new CustomEvent("crossing", { detail: crossing }));
  }

  /** @param {unknown} error */
  #report(error) {
    const description = error instanceof Error ? error.message : String(error);
    this.toasts.show({ id: ERROR_TOAST, title: "That didn't work", description, level: "error" });
  }
}

/** What the client thought of a frame, where that isn't "go on". */
const VERDICTS = { drop: "known already", gap: "gap found" };

/** @param {Event} event */
function detail(event) {
  return /** @type {CustomEvent} */ (event).detail;
}
