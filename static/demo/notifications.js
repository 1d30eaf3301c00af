// The list of notifications: newest first, unread ones marked, each with what can be done about it.

import { DoorbellClient } from "../client/client.js";
import { safeUrl } from "../toast/safe-url.js";
import { avatar, el, part, spoken } from "./dom.js";
import { timeElement } from "./time.js";

export class NotificationsView extends EventTarget {
  /** Elements by id, each with the row it shows. @type {Map<number, {item: HTMLElement, row: Doorbell.Notification}>} */
  #shown = new Map();

  /**
   * Event `open` (detail: a Doorbell.Notification whose conversation is wanted).
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   * @param {(action: () => Promise<unknown>) => void} attempt runs an action and reports what goes wrong
   */
  constructor(root, client, attempt) {
    super();
    this.client = client;
    this.attempt = attempt;
    this.heading = part(root, "notifications-heading");
    this.list = part(root, "notification-list");
    this.empty = part(root, "notifications-empty");
    this.more = part(root, "load-more");
    this.readAll = part(root, "mark-all-read");
    this.more.addEventListener("click", () => attempt(() => client.loadMore()));
    this.readAll.addEventListener("click", () => attempt(() => client.markAllRead()));
    client.addEventListener("change", () => this.render());
  }

  render() {
    const { items, next, unreadCount } = this.client.inbox;
    const focus = this.#focusPlace();
    const shown = new Map();
    for (const row of items) {
      const old = this.#shown.get(row.id);
      shown.set(row.id, old?.row === row ? old : { row, item: this.#item(row) });
    }
    this.#shown = shown;
    place(this.list, [...shown.values()].map(({ item }) => item));
    this.empty.hidden = items.length > 0;
    this.more.hidden = next === null;
    /** @type {HTMLButtonElement} */ (this.readAll).disabled = unreadCount === 0;
    this.#refocus(focus);
  }

  /** @param {Doorbell.Notification} row */
  #item(row) {
    const actions = el("span", { class: "actions" });
    if (row.actor && row.message_id !== null) {
      const open = () => this.dispatchEvent(new CustomEvent("open", { detail: row }));
      actions.append(this.#button("Open", row, "open-conversation", open));
    }
    const href = safeUrl(row.url, document.baseURI);
    if (href) actions.append(el("a", { href, rel: "noopener noreferrer" }, "Follow link"));
    if (!row.is_read) {
      const read = () => this.attempt(() => this.client.markRead(row.id));
      actions.append(this.#button("Mark read", row, "mark-read", read));
    }
    actions.append(this.#button("Remove", row, "remove", () => this.attempt(() => this.client.remove(row.id))));

    const mark = row.actor ? avatar(row.actor.username) : el("span", { class: "avatar", "aria-hidden": "true" }, "i");
    const title = el("strong", {}, row.title);
    if (!row.is_read) title.prepend(spoken("Unread: "));
    const text = el("div", { class: "notification-text" }, title);
    if (row.description) text.append(el("p", {}, row.description));
    text.append(el("div", { class: "notification-foot" }, timeElement(row.created_at), actions));
    return el(
      "li",
      { class: "notification", testid: "notification-item", "data-id": row.id, "data-read": row.is_read, "data-level": row.level },
      mark,
      text,
    );
  }

  /**
   * @param {string} label
   * @param {Doorbell.Notification} row
   * @param {string} testid
   * @param {() => void} onclick
   */
  #button(label, row, testid, onclick) {
    return el("button", { type: "button", class: "link", testid, "aria-label": `${label}: ${row.title}`, onclick }, label);
  }

  /** Where the focus is in the list, so that it isn't lost when a button goes. */
  #focusPlace() {
    const active = /** @type {HTMLElement | null} */ (document.activeElement);
    const item = active?.closest("li.notification");
    if (!active || !item || !this.list.contains(item)) return null;
    return { index: [...this.list.children].indexOf(item), id: Number(item.getAttribute("data-id")), testid: active.dataset.testid };
  }

  /** @param {{index: number, id: number, testid: string | undefined} | null} focus */
  #refocus(focus) {
    if (!focus || this.list.contains(document.activeElement)) return;
    const item = this.#shown.get(focus.id)?.item ?? this.list.children[Math.min(focus.index, this.list.children.length - 1)];
    const same = item?.querySelector(`[data-testid="${focus.testid}"]`);
    const target = /** @type {HTMLElement} */ (same ?? item?.querySelector("button") ?? this.heading);
    target.focus();
  }
}

/**
 * Bring the children into this order, moving no more than needed.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} items
 */
function place(list, items) {
  const wanted = new Set(items);
  for (const child of [...list.children]) if (!wanted.has(/** @type {HTMLElement} */ (child))) child.remove();
  items.forEach((item, index) => {
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
}
