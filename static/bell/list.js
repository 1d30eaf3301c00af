// <doorbell-list>: the notifications of a client, each with what can be done about it. The bell has one; a page may
// have one of its own. It knows no network: set `client` (see types.d.ts).
//
// Attributes  order="unread-first" (else newest first); empty: what to say when there is nothing
// Events      `notification-open` (detail: the notification; cancelable) before a link is followed, or where there is
//             a message to go to; `notification-error` (detail: the error) when the server said no
// Looks       bell.css, by link; themable by the --bell-* custom properties
//
// Text is only ever set as text.

import { adopt } from "../toast/adopt.js";
import { initials } from "../toast/person.js";
import { safeUrl } from "../toast/safe-url.js";
import { timeElement } from "../toast/time.js";
import { unreadFirst } from "./arrange.js";

const STEP = 50;
const GATHER_MS = 30; // a flood is drawn a few times, not once a frame

/** @typedef {{item: HTMLElement, row: DoorbellBell.Notification}} Shown */

export class DoorbellList extends HTMLElement {
  /** @type {DoorbellBell.Client | null} */
  #client = null;
  /** @type {Map<number, Shown>} */
  #shown = new Map();
  #atMost = STEP;
  #list = element("ol", "bell-items");
  #empty = element("p", "bell-empty");
  #more = button("Load more", "bell-more", () => this.#loadMore());
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;
  #onChange = () => void (this.#timer ??= setTimeout(() => this.render(), GATHER_MS));

  get client() {
    return this.#client;
  }

  set client(client) {
    this.#client?.removeEventListener("change", this.#onChange);
    this.#client = client;
    this.#atMost = STEP;
    if (this.isConnected) this.#begin();
  }

  connectedCallback() {
    if (!this.#list.isConnected) this.#build();
    adopt(this, "client");
    this.#begin();
  }

  disconnectedCallback() {
    this.#client?.removeEventListener("change", this.#onChange);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #begin() {
    this.#client?.addEventListener("change", this.#onChange);
    this.render();
  }

  #build() {
    this.#list.setAttribute("role", "list");
    this.#list.dataset.testid = "notification-list";
    this.#more.dataset.testid = "load-more";
    this.#empty.tabIndex = -1;
    this.append(this.#list, this.#empty, this.#more);
  }

  render() {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const inbox = this.#client?.inbox;
    const all = inbox?.items ?? [];
    const rows = (this.getAttribute("order") === "unread-first" ? unreadFirst(all) : all).slice(0, this.#atMost);
    const focus = this.#focusPlace();
    const shown = new Map();
    for (const row of rows) {
      const old = this.#shown.get(row.id);
      shown.set(row.id, old?.row === row ? old : { row, item: this.#item(row) });
    }
    this.#shown = shown;
    place(this.#list, [...shown.values()].map(({ item }) => item));
    this.#list.hidden = rows.length === 0;
    this.#empty.textContent = this.getAttribute("empty") ?? "Nothing yet.";
    this.#empty.hidden = rows.length > 0;
    const wasAtMore = document.activeElement === this.#more;
    this.#more.hidden = all.length <= this.#atMost && (inbox?.next ?? null) === null;
    if (focus) this.#refocus(focus);
    // The last of it was loaded by the keyboard: go on from there, and not from the page's beginning.
    else if (wasAtMore && this.#more.hidden) {
      /** @type {HTMLElement | null} */ (this.#list.querySelector("li:last-child button"))?.focus();
    }
  }

  #loadMore() {
    this.#atMost += STEP;
    const { client } = this;
    if (client && client.inbox.items.length < this.#atMost && client.inbox.next !== null) this.#attempt(client.loadMore());
    this.render();
  }

  /** @param {DoorbellBell.Notification} row */
  #item(row) {
    const item = element("li", "bell-item");
    Object.assign(item.dataset, { testid: "notification-item", id: row.id, read: row.is_read, level: row.level ?? "info" });
    const mark = element("span", "bell-mark", row.actor ? initials(row.actor.username) : "");
    mark.setAttribute("aria-hidden", "true");
    const text = element("div", "bell-text");
    const title = element("strong", "bell-title");
    const spoken = element("span", "bell-spoken", "Unread: ");
    spoken.dir = "ltr"; // ours, and not to be asked for the direction of what follows
    if (!row.is_read) title.append(spoken);
    title.append(row.title);
    text.append(title);
    if (row.description) text.append(element("p", "bell-description", row.description));
    for (const written of text.children) written.setAttribute("dir", "auto"); // people write from either side
    const foot = element("div", "bell-foot");
    foot.append(timeElement(row.created_at), this.#actions(row));
    text.append(foot);
    item.append(mark, text);
    return item;
  }

  /** @param {DoorbellBell.Notification} row */
  #actions(row) {
    const actions = element("span", "bell-actions");
    const href = safeUrl(row.url, document.baseURI);
    if (href) actions.append(this.#link(row, href));
    else if (row.message_id) actions.append(this.#action("Open", row, "open-conversation", () => this.#open(row)));
    if (!row.is_read) {
      actions.append(this.#action("Mark read", row, "mark-read", () => this.#attempt(this.#client?.markRead(row.id))));
    }
    actions.append(this.#action("Remove", row, "remove", () => this.#attempt(this.#client?.remove(row.id))));
    return actions;
  }

  /**
   * @param {DoorbellBell.Notification} row
   * @param {string} href
   */
  #link(row, href) {
    const link = document.createElement("a");
    link.href = href;
    link.rel = "noopener noreferrer";
    link.textContent = "Open";
    link.setAttribute("aria-label", `Open: ${row.title}`);
    link.addEventListener("click", (event) => {
      if (!this.#open(row)) event.preventDefault();
    });
    return link;
  }

  /**
   * What is opened has been read. Returns whether a link may be followed.
   * @param {DoorbellBell.Notification} row
   */
  #open(row) {
    if (!row.is_read) this.#attempt(this.#client?.markRead(row.id));
    const open = new CustomEvent("notification-open", { detail: row, bubbles: true, cancelable: true });
    return this.dispatchEvent(open);
  }

  /**
   * @param {string} label
   * @param {DoorbellBell.Notification} row
   * @param {string} testid
   * @param {() => void} act
   */
  #action(label, row, testid, act) {
    const made = button(label, "bell-action", act);
    made.dataset.testid = testid;
    made.setAttribute("aria-label", `${label}: ${row.title}`);
    return made;
  }

  /** @param {Promise<unknown> | undefined} promise */
  async #attempt(promise) {
    try {
      await promise;
    } catch (error) {
      this.dispatchEvent(new CustomEvent("notification-error", { detail: error, bubbles: true }));
    }
  }

  /** Where the focus is in the list, so that it isn't lost when a button goes. */
  #focusPlace() {
    const active = /** @type {HTMLElement | null} */ (document.activeElement);
    const item = active?.closest(".bell-item");
    if (!active || !item || !this.#list.contains(item)) return null;
    return { index: [...this.#list.children].indexOf(item), id: Number(item.getAttribute("data-id")), testid: active.dataset.testid };
  }

  /** @param {{index: number, id: number, testid: string | undefined}} focus */
  #refocus({ index, id, testid }) {
    if (this.#list.contains(document.activeElement)) return;
    const item = this.#shown.get(id)?.item ?? this.#list.children[Math.min(index, this.#list.children.length - 1)];
    const same = item?.querySelector(`[data-testid="${testid}"]`);
    const target = /** @type {HTMLElement} */ (same ?? item?.querySelector("button") ?? this.#empty);
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

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 */
export function element(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

/**
 * @param {string} label
 * @param {string} className
 * @param {() => void} act
 */
export function button(label, className, act) {
  const node = element("button", className, label);
  node.setAttribute("type", "button");
  node.addEventListener("click", act);
  return node;
}
