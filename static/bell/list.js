// <doorbell-list>: the notifications of a client, each with its actions. The bell contains one; a page may have one of its
// own. It has no network code: set `client` (see types.d.ts).
//
// Attributes  order="unread-first" (else newest first); empty: the text shown when there are no notifications
// Property    render: (row) => Node, a page's own content of an item, in place of sign, title and description; null: the built-in
// Property    decorate: a function from the notification to what is shown for it, which must keep its `id`
// Property    labels: words that win over those of the page's language, static/labels/en.js names them
// Events      `notification-open` (detail: the notification; cancelable) before a link is followed, or on "Open" of a
//             notification about a message; those of elements/actions.js; `notification-error` (detail: the error) when
//             the server refused an action
// State       data-status: what it knows (statusOf in elements/status.js), which is said in place of rows, or above them
// Style       bell.css, by link; themable by the --bell-* custom properties
//
// Text is only ever set as text.

import { actionsOf } from "../elements/actions.js";
import { attach } from "../elements/attach.js";
import { button, element } from "../elements/element.js";
import { sign } from "../elements/icons.js";
import { initials } from "../elements/initials.js";
import { Labels } from "../elements/labels.js";
import { ownContent } from "../elements/own-content.js";
import { timeElement } from "../elements/relative-time.js";
import { safeUrl } from "../elements/safe-url.js";
import { hasInbox, sentences, statusOf } from "../elements/status.js";
import { upgradeProperty } from "../elements/upgrade-property.js";
import { unreadFirst } from "./format.js";

const ROWS_PER_STEP = 50;
const RENDER_DELAY_MS = 30; // batches a flood of frames into a few renders

/** @typedef {{item: HTMLElement, row: DoorbellBell.Notification}} Rendered */

export class DoorbellList extends HTMLElement {
  /** @type {DoorbellBell.Client | null} */
  #client = null;
  #labels = new Labels(this, () => this.#translate());
  /** @type {Map<number, Rendered>} */
  #rendered = new Map();
  /** @type {((row: DoorbellBell.Notification) => Node | null | undefined) | null} */
  #ownRender = null;
  /** @type {(row: DoorbellBell.Notification) => DoorbellBell.Notification} */
  #decorate = (row) => row;
  #maxRows = ROWS_PER_STEP;
  #list = element("ol", { class: "bell-items", role: "list", testid: "notification-list" });
  #empty = element("p", { class: "bell-empty", tabindex: -1 });
  #line = element("p", { class: "bell-line", role: "status" });
  #more = button("", { class: "bell-more", testid: "load-more", onclick: () => this.#loadMore() });
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;
  #onChange = () => void (this.#timer ??= setTimeout(() => this.#render(), RENDER_DELAY_MS));

  get client() {
    return this.#client;
  }

  set client(client) {
    this.#unfollow();
    this.#client = client;
    this.#maxRows = ROWS_PER_STEP;
    if (this.isConnected) this.#follow();
  }

  get render() {
    return this.#ownRender;
  }

  set render(render) {
    this.#ownRender = render;
    this.#rendered.clear();
    if (this.isConnected) this.#render();
  }

  get decorate() {
    return this.#decorate;
  }

  set decorate(decorate) {
    this.#decorate = decorate;
    this.#rendered.clear();
    if (this.isConnected) this.#render();
  }

  get labels() {
    return this.#labels.own;
  }

  set labels(labels) {
    this.#labels.own = labels;
  }

  connectedCallback() {
    if (!this.#list.isConnected) this.append(this.#line, this.#list, this.#empty, this.#more);
    if (this.#labels.connect()) this.#rendered.clear();
    for (const name of ["client", "decorate", "render", "labels"]) upgradeProperty(this, name);
    attach(this, () => this.closest("doorbell-bell") !== null);
    this.#follow();
  }

  disconnectedCallback() {
    this.#labels.disconnect();
    this.#unfollow();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #follow() {
    for (const type of ["change", "state"]) this.#client?.addEventListener(type, this.#onChange);
    this.#render();
  }

  #unfollow() {
    for (const type of ["change", "state"]) this.#client?.removeEventListener(type, this.#onChange);
  }

  #translate() {
    this.#rendered.clear();
    this.#render();
  }

  #render() {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const status = statusOf(this.#client);
    const inbox = hasInbox(status) ? this.#client?.inbox : null;
    const all = inbox?.items ?? [];
    const rows = (this.getAttribute("order") === "unread-first" ? unreadFirst(all) : all).slice(0, this.#maxRows);
    const focus = this.#saveFocus();
    const rendered = new Map();
    for (const row of rows) {
      const old = this.#rendered.get(row.id);
      rendered.set(row.id, old?.row === row ? old : { row, item: this.#item(this.#decorate(row)) });
    }
    this.#rendered = rendered;
    reconcileChildren(this.#list, [...rendered.values()].map(({ item }) => item));
    this.#list.hidden = rows.length === 0;
    this.#renderStatus(status, rows.length > 0);
    this.#empty.hidden = rows.length > 0;
    const wasAtMore = document.activeElement === this.#more;
    this.#more.textContent = this.#labels.t("loadMore");
    this.#more.hidden = all.length <= this.#maxRows && (inbox?.next ?? null) === null;
    if (focus) this.#restoreFocus(focus);
    // The last page was loaded by the keyboard: the focus moves to the last item, and not to the top of the page.
    else if (wasAtMore && this.#more.hidden) {
      /** @type {HTMLElement | null} */ (this.#list.querySelector("li:last-child button"))?.focus();
    }
  }

  /**
   * @param {import("../elements/status.js").Status} status
   * @param {boolean} hasRows
   */
  #renderStatus(status, hasRows) {
    const { above, instead } = sentences(status, hasRows, this.#labels.t);
    this.dataset.status = status;
    // The region stays while it is empty: only what changes in one that is there is read out.
    if (this.#line.textContent !== above) this.#line.textContent = above;
    this.#empty.textContent = instead || (this.getAttribute("empty") ?? this.#labels.t("empty"));
  }

  #loadMore() {
    this.#maxRows += ROWS_PER_STEP;
    const { client } = this;
    if (client && client.inbox.items.length < this.#maxRows && client.inbox.next !== null) this.#attempt(client.loadMore());
    this.#render();
  }

  /** @param {DoorbellBell.Notification} row */
  #item(row) {
    const own = ownContent(this, this.#ownRender, row);
    const mark = element("span", { class: "bell-mark", "aria-hidden": true }, sign(row, initials));
    // `dir` keeps this label out of the detection of the title's direction.
    const unread = row.is_read ? [] : [element("span", { class: "bell-spoken", dir: "auto" }, this.#labels.t("unreadTitle"))];
    const text = element("div", { class: "bell-text" });
    if (own) text.append(...unread, own);
    else text.append(element("strong", { class: "bell-title", dir: "auto" }, ...unread, row.title));
    if (!own && row.description) text.append(element("p", { class: "bell-description", dir: "auto" }, row.description));
    text.append(element("div", { class: "bell-foot" }, timeElement(row.created_at, this.#labels), this.#actions(row)));
    const data = { testid: "notification-item", "data-id": row.id, "data-read": row.is_read, "data-level": row.level ?? "info", "data-type": row.notification_type ?? "" };
    return element("li", { class: "bell-item", ...data }, own ? null : mark, text);
  }

  /** @param {DoorbellBell.Notification} row */
  #actions(row) {
    const actions = element("span", { class: "bell-actions" });
    const href = safeUrl(row.url, document.baseURI);
    if (href) actions.append(this.#link(row, href));
    else if (row.message_id) actions.append(this.#action("open", row, "open-conversation", () => this.#open(row)));
    actions.append(...actionsOf(this, row, () => this.#client, this.#labels.t, { link: "", button: "bell-action" }));
    if (!row.is_read) {
      actions.append(this.#action("markRead", row, "mark-read", () => this.#attempt(this.#client?.markRead(row.id))));
    }
    actions.append(this.#action("remove", row, "remove", () => this.#attempt(this.#client?.remove(row.id))));
    return actions;
  }

  /**
   * @param {DoorbellBell.Notification} row
   * @param {string} href
   */
  #link(row, href) {
    const onclick = (/** @type {Event} */ event) => {
      if (!this.#open(row)) event.preventDefault();
    };
    const action = this.#labels.t("open");
    const label = this.#labels.t("actionTitle", { action, title: row.title });
    return element("a", { href, rel: "noopener noreferrer", "aria-label": label, onclick }, action);
  }

  /**
   * Opening marks as read. Returns whether a link may be followed.
   * @param {DoorbellBell.Notification} row
   */
  #open(row) {
    if (!row.is_read) this.#attempt(this.#client?.markRead(row.id));
    const open = new CustomEvent("notification-open", { detail: this.#rendered.get(row.id)?.row ?? row, bubbles: true, cancelable: true });
    return this.dispatchEvent(open);
  }

  /**
   * @param {"open" | "markRead" | "remove"} key its label
   * @param {DoorbellBell.Notification} row
   * @param {string} testid
   * @param {() => void} onclick
   */
  #action(key, row, testid, onclick) {
    const action = this.#labels.t(key);
    const label = this.#labels.t("actionTitle", { action, title: row.title });
    return button(action, { class: "bell-action", testid, "aria-label": label, onclick });
  }

  /** @param {Promise<unknown> | undefined} promise */
  async #attempt(promise) {
    try {
      await promise;
    } catch (error) {
      this.dispatchEvent(new CustomEvent("notification-error", { detail: error, bubbles: true }));
    }
  }

  /** The position of the focus in the list, so that it can be restored when its button is removed. */
  #saveFocus() {
    const active = /** @type {HTMLElement | null} */ (document.activeElement);
    const item = active?.closest(".bell-item");
    if (!active || !item || !this.#list.contains(item)) return null;
    return { index: [...this.#list.children].indexOf(item), id: Number(item.getAttribute("data-id")), testid: active.dataset.testid };
  }

  /** @param {{index: number, id: number, testid: string | undefined}} focus */
  #restoreFocus({ index, id, testid }) {
    if (this.#list.contains(document.activeElement)) return;
    const item = this.#rendered.get(id)?.item ?? this.#list.children[Math.min(index, this.#list.children.length - 1)];
    const same = item?.querySelector(`[data-testid="${testid}"]`);
    const target = /** @type {HTMLElement} */ (same ?? item?.querySelector("button") ?? this.#empty);
    target.focus();
  }
}

/**
 * Makes these items the children of the list, in this order, moving no more than needed.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} items
 */
function reconcileChildren(list, items) {
  const wanted = new Set(items);
  for (const child of [...list.children]) if (!wanted.has(/** @type {HTMLElement} */ (child))) child.remove();
  items.forEach((item, index) => {
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
}
