// The list of people: who one can write to, who is online, who has written something unread.

import { DoorbellClient } from "../client/client.js";
import { ago } from "../toast/time.js";
import { avatar, el, named, part, spoken } from "./dom.js";
import { UnreadMessages } from "./unread.js";

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
   * @param {(action: () => Promise<unknown>) => void} attempt
   */
  constructor(root, client, fullName, attempt) {
    super();
    this.client = client;
    this.fullName = fullName;
    this.list = part(root, "people");
    this.empty = part(root, "people-empty");
    this.unread = new UnreadMessages(client, attempt);
    this.unread.addEventListener("change", () => this.#soon());
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
    const unread = this.unread.count();
    this.list.replaceChildren(...this.#users.map((user) => this.#item(user, unread.get(user.id) ?? 0)));
    this.empty.hidden = this.#users.length > 0;
    if (hadFocus && focused) {
      /** @type {HTMLElement | null} */ (this.list.querySelector(`[data-testid="${CSS.escape(focused)}"]`))?.focus();
    }
  }

  /**
   * @param {Doorbell.User} user
   * @param {number} unread
   */
  #item(user, unread) {
    const { username } = user;
    const presence = this.client.presence.get(user.id);
    const isOnline = presence?.is_online ?? false;
    const picture = el("span", { class: "portrait" }, avatar(username, this.fullName(username)), el("span", { class: "dot" }));
    const text = el(
      "span",
      { class: "person-text" },
      el("strong", {}, named(this.fullName(username))),
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
