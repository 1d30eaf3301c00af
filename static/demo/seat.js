// One person's half of the window: a client with a network of its own, and the views of it.

import { DoorbellBell } from "../bell/bell.js";
import { DoorbellList } from "../bell/list.js";
import { DoorbellClient } from "../client/client.js";
import { Http } from "../client/http.js";
import { CloseCode, FrameType } from "../client/protocol.js";
import { element } from "../elements/element.js";
import { follow } from "../toast/follow.js";
import { DoorbellToasts } from "../toast/toast.js";
import { Audit } from "./audit.js";
import { BlockingView } from "./blocking.js";
import { ConnectionView } from "./connection.js";
import { ConversationView } from "./conversation.js";
import { avatar, isolated, part } from "./dom.js";
import { FaultyNetwork } from "./faulty-network.js";
import { withFullName } from "./full-names.js";
import { Hearts } from "./hearts.js";
import { HidingView } from "./hiding.js";
import { LanguageSwitch } from "./language-switch.js";
import { Language, translate } from "./language.js";
import { PeopleView } from "./people.js";

const SEEN_TYPES = new Set(["new_message", "message_read"]); // those that a conversation shows
const ERROR_TOAST_ID = "demo-error";
const LOGIN_TRIES = 4;
const LOGIN_TRY_MS = 400;

export class Seat extends EventTarget {
  network = new FaultyNetwork();
  /** @type {Seat | undefined} */
  #next;
  #unfollow;
  #closing = new AbortController();
  #sentAt = performance.now();

  /**
   * Events: `leave` (the person pressed "Leave" or "Sign out"), `traffic` (detail: a Demo.TrafficEntry), `ended` (the login
   * has ended).
   * @param {HTMLElement} root the seat's markup
   * @param {object} options
   * @param {Doorbell.User} options.user
   * @param {string} [options.token] left out: the window's own login, by its cookie
   * @param {(username: string) => string} options.fullName
   * @param {Language} options.language
   * @param {DoorbellToasts} options.toasts
   * @param {() => boolean} options.isAlone whether no other seat is in the window
   */
  constructor(root, { user, token, fullName, language, toasts, isAlone }) {
    super();
    this.root = root;
    this.user = user;
    this.token = token;
    this.name = fullName(user.username);
    this.fullName = fullName;
    this.language = language;
    this.isAlone = isAlone;
    this.toasts = toasts;
    /** Bypasses the faulty network, for requests that must succeed. */
    this.http = new Http({ token });
    const { fetch, WebSocket } = this.network;
    // The window's own login shares its socket with the other tabs; the second person's login exists in this window only.
    this.client = new DoorbellClient({ user, token, fetch, WebSocket, ...(token ? { share: false } : {}) });
    const { client } = this;
    const attempt = (/** @type {() => Promise<unknown>} */ action) => void this.attempt(action);

    part(root, "me").replaceChildren(isolated(this.name));
    part(root, "me").title = this.name;
    part(root, "me").id = `seat-${user.id}`;
    part(root, "me").parentElement?.before(avatar(user.username, this.name));
    root.dataset.testid = `seat-${user.username}`;
    root.setAttribute("aria-label", this.name);
    part(root, "sign-out").dataset.t = token ? "leave" : "signOut";
    part(root, "sign-out").addEventListener("click", () => this.dispatchEvent(new Event("leave")));

    const bell = /** @type {DoorbellBell} */ (part(root, "bell"));
    const list = /** @type {DoorbellList} */ (part(root, "list"));
    bell.toggleAttribute("no-title", Boolean(token));
    bell.decorate = list.decorate = (row) => withFullName(row, fullName);
    const hearts = new Hearts(client, language, attempt);
    bell.render = list.render = hearts.render;
    bell.client = list.client = client;
    language.addEventListener("change", () => this.#translate(bell, list)); // before the views, which render what is theirs
    new ConnectionView(root, client, language);
    this.switch = new LanguageSwitch(root, client, language, attempt);
    this.hiding = new HidingView(root, client, language, attempt);
    this.people = new PeopleView(root, client, fullName, language, attempt);
    const isAttended = () => this.#isAttended();
    const conversation = (this.conversation = new ConversationView(root, client, { fullName, language, hearts, attempt, isAttended }));
    this.blocking = new BlockingView(root, client, fullName, language, attempt);
    this.audit = new Audit(client, this.http, () => Number(root.querySelector('[data-testid="badge"]')?.getAttribute("data-count")));

    this.people.addEventListener("choose", (event) => {
      const { user, options } = detail(event);
      this.blocking.show(user);
      attempt(() => conversation.open(user, options));
    });
    root.addEventListener("notification-open", (event) => this.#openConversation(event));
    root.addEventListener("notification-error", (event) => this.#report(detail(event)));
    part(root, "read-all").addEventListener("click", () => attempt(() => client.markAllRead()));
    this.#unfollow = follow(toasts, client, { decorate: (row) => (this.#isSeen(row) ? null : this.#withLink(withFullName(row, fullName))) });
    for (const [target, type] of /** @type {const} */ ([[root, "focusin"], [window, "focus"], [window, "scroll"], [document, "visibilitychange"]])) {
      target.addEventListener(type, () => conversation.attend(), { signal: this.#closing.signal });
    }
    toasts.addEventListener("toast-open", (event) => this.#openConversation(event));
    toasts.addEventListener("notification-error", (event) => this.#handleError(detail(event)));
    client.addEventListener("change", () => this.#renderReadAll());
    client.addEventListener("synced", () => attempt(() => this.people.readPresence()));
    client.addEventListener("error", (event) => this.#report(detail(event)));
    client.addEventListener("state", (event) => this.#handleStateChange(detail(event)));
    client.addEventListener("frame", (event) => this.#handleFrame(detail(event)));
    this.network.addEventListener("traffic", (event) => this.#emitTraffic(detail(event)));
    this.#translate(bell, list);
  }

  /** Whether the login has ended: a veil then covers the seat until the person signs in again. */
  get isSignedOut() {
    return !part(this.root, "veil").hidden;
  }

  async open() {
    await this.attempt(() => Promise.all([this.client.start(), this.people.load(), this.#loadProfile(), this.blocking.load()]));
  }

  async #loadProfile() {
    const profile = await this.client.http.get("profile");
    this.hiding.show(profile);
    await this.switch.show(profile);
  }

  /**
   * @param {DoorbellBell} bell
   * @param {DoorbellList} list
   */
  #translate(bell, list) {
    const { language, name, toasts } = this;
    translate(this.root, language, name);
    list.setAttribute("empty", language.t("noNotifications"));
    bell.labels = list.labels = language.elements;
    toasts.labels = { ...language.elements, toasts: language.t("toastsOf", { name }) };
    toasts.dataset.title = language.t("toastsFor", { name });
    this.#linkSkip();
  }

  focus() {
    part(this.root, "me").focus({ preventScroll: true });
  }

  /** Sets the skip link, which leads keyboard users past the lists to the next seat. @param {Seat} [next] */
  linkTo(next) {
    this.#next = next;
    this.#linkSkip();
  }

  #linkSkip() {
    const skip = /** @type {HTMLAnchorElement} */ (part(this.root, "skip"));
    skip.hidden = !this.#next;
    if (!this.#next) return;
    skip.href = `#seat-${this.#next.user.id}`;
    skip.replaceChildren(element("span", {}, ...this.language.nodes("goTo", { name: isolated(this.#next.name) })));
  }

  close() {
    this.audit.close();
    this.#unfollow();
    this.#closing.abort();
    this.client.stop();
    this.toasts.remove();
    (this.root.closest(".place") ?? this.root).remove();
  }

  /** Whether the user is looking at this seat: of two, the one that has the focus. */
  #isAttended() {
    const isHere = this.isAlone() || this.root.contains(document.activeElement);
    return document.visibilityState === "visible" && document.hasFocus() && isHere && !this.isSignedOut;
  }

  /** Whether a notification is about a message that the user is looking at. @param {Doorbell.Notification} row */
  #isSeen(row) {
    return row.message_id !== null && SEEN_TYPES.has(row.notification_type) && row.actor !== null && this.conversation.isSeen(row.actor);
  }

  /** @param {() => Promise<unknown>} action */
  async attempt(action) {
    try {
      await action();
    } catch (error) {
      this.#handleError(error);
    }
  }

  /** @param {unknown} error */
  #handleError(error) {
    if (/** @type {any} */ (error)?.status === 401) this.#showEnded();
    else this.#report(error);
  }

  /** Opens the conversation of a notification about a message. @param {Event} event */
  #openConversation(event) {
    const { actor, message_id } = this.client.inbox.get(detail(event).id) ?? detail(event);
    if (!actor || !message_id) return;
    event.preventDefault();
    this.people.choose(actor);
    part(this.root, "conversation-heading").closest("section")?.scrollIntoView({ block: "nearest" });
  }

  /** A toast has an "Open" link if it has a URL: a notification about a message gets one. @param {Doorbell.Notification} row */
  #withLink(row) {
    return row.url || !row.actor || !row.message_id ? row : { ...row, url: `#seat-${this.user.id}` };
  }

  #renderReadAll() {
    // Not `disabled`, which would lose the focus when the button is pressed.
    part(this.root, "read-all").setAttribute("aria-disabled", String(this.client.inbox.unreadCount === 0));
  }

  /** @param {Doorbell.StateChange} change */
  #handleStateChange({ state, code }) {
    if (state === "connecting") this.#sentAt = performance.now();
    if (code === CloseCode.SIGNED_OUT || code === CloseCode.UNAUTHENTICATED) this.#showEnded();
  }

  #showEnded() {
    if (this.isSignedOut) return;
    const veil = part(this.root, "veil");
    part(veil, "veil-text").replaceChildren(...this.language.nodes("signedOutElsewhere", { name: isolated(this.name) }));
    if (!this.token) this.#lookForAnotherLogin(part(veil, "veil-text"));
    veil.hidden = false;
    for (const covered of [...this.root.children]) /** @type {HTMLElement} */ (covered).inert = covered !== veil;
    this.client.stop();
    this.toasts.clear();
    part(veil, "again").focus({ preventScroll: true });
    this.dispatchEvent(new Event("ended"));
  }

  /**
   * A browser holds one login: another tab may have signed in as somebody else, and its cookie is here a moment after the
   * close.
   * @param {HTMLElement} text
   */
  async #lookForAnotherLogin(text) {
    for (let tries = 0; tries < LOGIN_TRIES && !this.#closing.signal.aborted; tries++) {
      await new Promise((resolve) => setTimeout(resolve, LOGIN_TRY_MS));
      const session = await this.http.session().catch(() => null);
      if (!session?.user || session.user.id === this.user.id) continue;
      const names = { other: isolated(this.fullName(session.user.username)), name: isolated(this.name) };
      text.replaceChildren(...this.language.nodes("signedInElsewhere", names));
      return;
    }
  }

  /** A frame that the client sent or received, also by the socket of another tab. @param {any} traced */
  #handleFrame({ direction, frame, text, at, verdict }) {
    if (direction === "out") this.#sentAt = performance.now();
    const note = VERDICTS[/** @type {keyof typeof VERDICTS} */ (verdict)] ?? "";
    this.#emitTraffic({ direction, frame, text, at, latency: direction === "in" ? this.#latency(frame) : null, note });
  }

  /** Milliseconds since the request that it answers, or since its newest row was created. @param {Doorbell.Frame | null} frame */
  #latency(frame) {
    if (frame?.type === FrameType.INBOX && !frame.replayed && frame.added?.length) {
      return Math.max(0, Date.now() - Math.max(...frame.added.map((row) => Date.parse(row.created_at))));
    }
    const isAnswer = frame?.type === FrameType.HELLO || frame?.type === FrameType.PONG || frame?.type === FrameType.SYNCED;
    return isAnswer ? performance.now() - this.#sentAt : null;
  }

  /** @param {Demo.TrafficEntry} entry */
  #emitTraffic(entry) {
    this.dispatchEvent(new CustomEvent("traffic", { detail: entry }));
  }

  /** @param {unknown} error */
  #report(error) {
    const description = error instanceof Error ? error.message : String(error);
    this.toasts.show({ id: ERROR_TOAST_ID, title: this.language.t("notDone"), description, level: "error" });
  }
}

/** Labels of the client's verdicts on a frame, except for "pass". */
const VERDICTS = { drop: "known already", gap: "gap found" };

/** @param {Event} event */
function detail(event) {
  return /** @type {CustomEvent} */ (event).detail;
}
