// The list of people: who one can write to, who is online, who has written something unread.

import { DoorbellClient } from "../client/client.js";
import { ago } from "../toast/time.js";
import { avatar, el, part, spoken } from "./dom.js";

const GATHER_MS = 30;

export class PeopleView extends EventTarget {
  /** @type {Doorbell.User[]} */
  #users = [];
  /** @type {string | null} */
  #chosen = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * Event `choose` (detail: a Doorbell.User).
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   * @param {(username: string) => string} fullName
   */
  constructor(root, client, fullName) {
    super();
    this.client = client;
    this.fullName = fullName;
    this.list = part(root, "people");
    this.empty = part(root, "people-empty");
    for (const type of ["presence", "change"]) client.addEventListener(type, () => this.#soon());
  }

  async load() {
    const { items } = await this.client.http.get("users", { limit: 200 });
    this.#users = items.sort(byName(this.fullName));
    this.render();
  }

  /** @param {Doorbell.User} user */
  choose(user) {
    this.#chosen = user.username;
    this.render();
    this.dispatchEvent(new CustomEvent("choose", { detail: user }));
  }

  /** A flood is drawn a few times, not once a frame. */
  #soon() {
    this.#timer ??= setTimeout(() => this.render(), GATHER_MS);
  }

  render() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.testid;
    const hadFocus = this.list.contains(document.activeElement);
    this.list.replaceChildren(...this.#users.map((user) => this.#item(user)));
    this.empty.hidden = this.#users.length > 0;
    if (hadFocus && focused) {
      /** @type {HTMLElement | null} */ (this.list.querySelector(`[data-testid="${CSS.escape(focused)}"]`))?.focus();
    }
  }

  /** @param {Doorbell.User} user */
  #item(user) {
    const { username } = user;
    const presence = this.client.presence.get(user.id);
    const isOnline = presence?.is_online ?? false;
    const unread = this.#unreadFrom(user);
    const picture = el("span", { class: "portrait" }, avatar(username, this.fullName(username)), el("span", { class: "dot" }));
    const text = el(
      "span",
      { class: "person-text" },
      el("strong", {}, this.fullName(username)),
      el("span", { class: "muted" }, describe(presence)),
    );
    const button = el(
      "button",
      {
        type: "button",
        class: "person",
        testid: `person-${username}`,
        "data-online": isOnline,
        "aria-pressed": this.#chosen === username,
        onclick: () => this.choose(user),
      },
      picture,
      text,
    );
    if (unread > 0) button.append(el("span", { class: "count" }, String(unread), spoken(" unread")));
    return el("li", {}, button);
  }

  /** @param {Doorbell.User} user */
  #unreadFrom(user) {
    const isTheirs = (/** @type {Doorbell.Notification} */ row) => row.actor?.id === user.id && row.message_id !== null;
    return this.client.inbox.items.filter((row) => !row.is_read && isTheirs(row)).length;
  }
}

/** @param {Doorbell.Presence | undefined} presence */
function describe(presence) {
  if (!presence) return "no messages yet";
  if (presence.is_online) return "online";
  return presence.last_seen ? `last seen ${ago(presence.last_seen)}` : "offline";
}

/** The people of the demo, who have a full name, before everybody else. @param {(username: string) => string} fullName */
function byName(fullName) {
  const key = (/** @type {string} */ name) => `${fullName(name) === name ? 1 : 0} ${fullName(name)}`;
  return (/** @type {Doorbell.User} */ a, /** @type {Doorbell.User} */ b) => key(a.username).localeCompare(key(b.username));
}
