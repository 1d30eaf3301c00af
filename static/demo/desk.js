// One signed-in person's desk: their own client and every view on it. A page may hold several.

import { DoorbellClient } from "../client/client.js";
import { Http } from "../client/http.js";
import { CloseCode } from "../client/protocol.js";
import { DoorbellToasts } from "../toast/toast.js";
import { BellView, forgetTitle } from "./bell.js";
import { ConnectionView } from "./connection.js";
import { ConsoleView } from "./console.js";
import { ConversationView } from "./conversation.js";
import { avatar, part } from "./dom.js";
import { NotificationsView } from "./notifications.js";
import { PeopleView } from "./people.js";

const ERROR_TOAST = "desk-error";

export class Desk extends EventTarget {
  /**
   * Event `leave` (detail: why, for the user to read) when this person is no longer signed in.
   * @param {HTMLElement} root the desk's markup
   * @param {object} options
   * @param {Http} options.http
   * @param {Doorbell.User} options.user
   * @param {DoorbellToasts} options.toasts
   * @param {(username: string) => string} options.fullName
   */
  constructor(root, { http, user, toasts, fullName }) {
    super();
    this.root = root;
    this.toasts = toasts;
    this.client = new DoorbellClient({ http, user });
    const attempt = (/** @type {() => Promise<unknown>} */ action) => void this.#attempt(action);

    part(root, "me").replaceChildren(avatar(user.username, fullName(user.username)), fullName(user.username));
    part(root, "sign-out").addEventListener("click", () => attempt(() => this.#signOut()));
    part(root, "hint-close").addEventListener("click", () => (part(root, "hint").hidden = true));

    new ConnectionView(root, this.client);
    new BellView(root, this.client);
    new ConsoleView(root, this.client);
    this.people = new PeopleView(root, this.client, fullName);
    const conversation = new ConversationView(root, this.client, fullName, attempt);
    const notifications = new NotificationsView(root, this.client, attempt);

    this.people.addEventListener("choose", (event) => attempt(() => conversation.open(detail(event))));
    notifications.addEventListener("open", (event) => this.people.choose(detail(event).actor));
    this.client.addEventListener("toast", (event) => toasts.show(detail(event)));
    this.client.addEventListener("change", (event) => this.#dismissDone(detail(event)));
    this.client.addEventListener("synced", () => attempt(() => this.client.readPresence()));
    this.client.addEventListener("error", (event) => this.#report(detail(event)));
    this.client.addEventListener("state", (event) => this.#moved(detail(event)));
  }

  async open() {
    await this.#attempt(() => Promise.all([this.client.start(), this.people.load()]));
  }

  close() {
    this.client.stop();
    this.toasts.clear();
    this.root.remove();
    forgetTitle();
  }

  async #signOut() {
    this.client.stop();
    await this.client.http.delete("session");
    this.#leave("");
  }

  /** @param {Doorbell.StateChange} change */
  #moved({ code }) {
    if (code === CloseCode.SIGNED_OUT) this.#leave("You were signed out, here or in another window.");
    if (code === CloseCode.UNAUTHENTICATED) this.#leave("Your session has ended. Please sign in again.");
  }

  /** @param {string} why */
  #leave(why) {
    this.dispatchEvent(new CustomEvent("leave", { detail: why }));
  }

  /** What was read or removed anywhere needs no toast any more. @param {Doorbell.InboxChange} change */
  #dismissDone(change) {
    for (const id of [...change.read, ...change.removed]) this.toasts.dismiss(id);
  }

  /** @param {() => Promise<unknown>} action */
  async #attempt(action) {
    try {
      await action();
    } catch (error) {
      if (/** @type {any} */ (error)?.status === 401) this.#leave("Your session has ended. Please sign in again.");
      else this.#report(error);
    }
  }

  /** @param {unknown} error */
  #report(error) {
    const description = error instanceof Error ? error.message : String(error);
    this.toasts.show({ id: ERROR_TOAST, title: "That didn't work", description, level: "error" });
  }
}

/** @param {Event} event */
function detail(event) {
  return /** @type {CustomEvent} */ (event).detail;
}
