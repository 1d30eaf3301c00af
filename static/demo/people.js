// The list of people: the possible receivers, who of them is online, and how many unread messages each has sent.

import { DoorbellClient } from "../client/client.js";
import { element } from "../elements/element.js";
import { avatar, isolated, part } from "./dom.js";
import { Language } from "./language.js";
import { UnreadMessages } from "./unread.js";

const ADMIN = "admin"; // the superuser that seed_demo creates, for the admin site: no one to write to
const RENDER_DELAY_MS = 30; // batches a flood of frames into a few renders

export class PeopleView extends EventTarget {
  /** @type {Doorbell.User[]} */
  #users = [];
  /** @type {string | null} */
  #chosenUsername = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Whether `GET presence` has been answered: before, a person without presence may be a contact all the same. */
  #isPresenceRead = false;
  /** Whether the people are there. */
  #isRead = false;

  /**
   * Event `choose` (detail: the `user`, and `options` for ConversationView.open).
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   * @param {(username: string) => string} fullName
   * @param {Language} language
   * @param {(action: () => Promise<unknown>) => void} attempt
   */
  constructor(root, client, fullName, language, attempt) {
    super();
    this.client = client;
    this.fullName = fullName;
    this.language = language;
    this.list = part(root, "people");
    this.empty = part(root, "people-empty");
    this.unread = new UnreadMessages(client, attempt);
    this.unread.addEventListener("change", () => this.#scheduleRender());
    for (const type of ["presence", "change"]) client.addEventListener(type, () => this.#scheduleRender());
    language.addEventListener("change", () => this.render());
  }

  async load() {
    const { items } = await this.client.http.get("users", { limit: 200 });
    this.#users = items.filter((/** @type {Doorbell.User} */ { username }) => username !== ADMIN).sort(byName(this.fullName));
    this.#isRead = true;
    this.render();
  }

  async readPresence() {
    await this.client.readPresence();
    this.#isPresenceRead = true;
    this.render();
  }

  /**
   * @param {Doorbell.User} user
   * @param {{focus?: boolean}} [options] as for ConversationView.open
   */
  choose(user, options) {
    this.#chosenUsername = user.username;
    this.render();
    this.dispatchEvent(new CustomEvent("choose", { detail: { user, options } }));
  }

  #scheduleRender() {
    this.#timer ??= setTimeout(() => this.render(), RENDER_DELAY_MS);
  }

  render() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.testid;
    const hadFocus = this.list.contains(document.activeElement);
    const unread = this.unread.count();
    this.list.replaceChildren(...this.#users.map((user) => this.#item(user, unread.get(user.id) ?? 0)));
    this.empty.textContent = this.language.t(this.#isRead ? "noPeople" : "loadingPeople");
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
    const portrait = element("span", { class: "portrait" }, avatar(username, this.fullName(username)), element("span", { class: "dot" }));
    const text = element(
      "span",
      { class: "person-text" },
      element("strong", {}, isolated(this.fullName(username))),
      element("span", { class: "muted" }, describe(this.language, presence, this.#isPresenceRead)),
    );
    const button = element(
      "button",
      {
        type: "button",
        class: "person",
        testid: `person-${username}`,
        title: this.fullName(username),
        "data-online": isOnline,
        "aria-pressed": this.#chosenUsername === username,
        onclick: () => this.choose(user),
      },
      portrait,
      text,
    );
    if (unread > 0) button.append(this.#count(unread));
    return element("li", {}, button);
  }

  /** @param {number} unread */
  #count(unread) {
    const count = document.createTextNode(this.language.number(unread));
    return element("span", { class: "count" }, ...this.language.nodes("unread", { count }, { count: unread, isSpoken: true }));
  }
}

/**
 * @param {Language} language
 * @param {Doorbell.Presence | undefined} presence
 * @param {boolean} isRead whether all presence has been read
 */
function describe(language, presence, isRead) {
  if (!presence) return language.t(isRead ? "noMessagesWith" : "readingPresence");
  if (presence.is_online) return language.t("online");
  return presence.last_seen ? language.t("lastSeen", { time: language.ago(presence.last_seen) }) : language.t("offline");
}

/** Sorts the demo's people, who have a full name, before all others. @param {(username: string) => string} fullName */
function byName(fullName) {
  const key = (/** @type {string} */ name) => `${fullName(name) === name ? 1 : 0} ${fullName(name)}`;
  return (/** @type {Doorbell.User} */ a, /** @type {Doorbell.User} */ b) => key(a.username).localeCompare(key(b.username));
}
