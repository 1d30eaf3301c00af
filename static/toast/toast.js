// <doorbell-toasts>: a region in the corner that shows what just happened. It knows no network: set `client` (see
// types.d.ts; static/client's DoorbellClient fits), or call `show(toast)`.
//
// Attribute duration: how long a toast stays, in milliseconds (8000; errors twice that)
// Methods   show(toast), dismiss(id), clear()
// Events    `toast-open` (detail: the toast) when its link is activated; preventDefault() keeps the page;
//           `notification-error` (detail: the error) when the server said no to marking it read
// Looks     toast.css, by link; themable by the --toast-* custom properties on the element
// Keys      Escape closes the toast that has the focus, else the newest
//
// Text is only ever set as text, and the focus is never taken. Time stands still while the pointer or the focus is on
// the region, and while the page is hidden: whoever comes back sees what happened.

import { adopt } from "./adopt.js";
import { follow } from "./follow.js";
import { initials } from "./person.js";
import { safeUrl } from "./safe-url.js";
import { Speaker } from "./speaker.js";
import { DURATION_MS, ToastStack } from "./stack.js";
import { timeElement } from "./time.js";

const MANY = 5; // without toast.css, which says how many where

export class DoorbellToasts extends HTMLElement {
  /** @type {DoorbellToast.Client | null} */
  #client = null;
  #unfollow = () => {};
  #stack = new ToastStack({ changed: () => this.#render() });
  #list = document.createElement("ol");
  #more = element("div", "toast-more");
  #moreCount = element("span", "");
  #speaker = new Speaker();
  /** The toasts on the page, by id, each with what it was made from. @type {Map<DoorbellToast.Toast["id"], HTMLElement>} */
  #shown = new Map();
  /** @type {WeakMap<HTMLElement, DoorbellToast.Toast>} */
  #toastOf = new WeakMap();
  /** Where the focus was before it came here. @type {HTMLElement | null} */
  #cameFrom = null;
  #onKey = (/** @type {KeyboardEvent} */ event) => this.#escape(event);
  #onVisibility = () => (document.hidden ? this.#stack.pause() : this.#resumeUnlessRead());

  get client() {
    return this.#client;
  }

  set client(client) {
    this.#client = client;
    this.#follow();
  }

  connectedCallback() {
    if (!this.#list.isConnected) this.#build();
    adopt(this, "client");
    this.#follow();
    document.addEventListener("keydown", this.#onKey);
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#onVisibility(); // a tab opened in the background is hidden from the start
  }

  disconnectedCallback() {
    this.#unfollow();
    document.removeEventListener("keydown", this.#onKey);
    document.removeEventListener("visibilitychange", this.#onVisibility);
  }

  /** @param {DoorbellToast.Toast} toast */
  show(toast) {
    this.#stack.visibleAtMost = Number(getComputedStyle(this).getPropertyValue("--_visible")) || MANY;
    this.#stack.duration = Number(this.getAttribute("duration")) || DURATION_MS;
    this.#stack.show(toast);
    if (!this.matches(":hover")) this.#list.scrollTop = 0; // the newest is in sight, unless somebody reads further down
    this.#speaker.say(toast);
  }

  /** @param {DoorbellToast.Toast["id"]} id */
  dismiss(id) {
    this.#stack.dismiss(id);
  }

  clear() {
    this.#stack.clear();
  }

  #build() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", this.getAttribute("aria-label") ?? "Toasts");
    this.#list.setAttribute("role", "list"); // Safari forgets it where a list has no bullets
    this.#more.dataset.testid = "toast-more";
    this.#more.hidden = true;
    const clear = element("button", "toast-clear", "Dismiss all");
    clear.setAttribute("type", "button");
    clear.addEventListener("click", () => this.clear());
    this.#more.append(this.#moreCount, clear);
    this.append(this.#list, this.#more, this.#speaker.element);
    this.addEventListener("focusin", ({ relatedTarget }) => {
      if (relatedTarget instanceof HTMLElement && !this.contains(relatedTarget)) this.#cameFrom = relatedTarget;
    });
    for (const type of ["pointerenter", "focusin"]) this.addEventListener(type, () => this.#stack.pause());
    for (const type of ["pointerleave", "focusout"]) this.addEventListener(type, () => this.#resumeUnlessRead());
  }

  #follow() {
    this.#unfollow();
    if (this.#client && this.isConnected) this.#unfollow = follow(this, this.#client);
  }

  #resumeUnlessRead() {
    queueMicrotask(() => {
      const isRead = document.hidden || this.matches(":hover") || this.contains(document.activeElement);
      if (!isRead) this.#stack.resume();
    });
  }

  #render() {
    const visible = this.#stack.visible;
    const kept = new Set(visible);
    for (const [id, item] of this.#shown) {
      if (!kept.has(/** @type {DoorbellToast.Toast} */ (this.#toastOf.get(item)))) this.#drop(id, item);
    }
    // Oldest first, each put on top: what is there already isn't moved, so nothing is announced or animated twice.
    for (const toast of visible.toReversed()) {
      if (this.#shown.has(toast.id)) continue;
      const item = this.#item(toast);
      this.#shown.set(toast.id, item);
      const older = [...this.#list.children].find((other) => this.#isBehind(visible, other, toast));
      this.#list.insertBefore(item, older ?? null);
    }
    this.#moreCount.textContent = `${this.#stack.more} more`;
    this.#more.hidden = this.#stack.more === 0;
  }

  /**
   * @param {DoorbellToast.Toast[]} visible newest first
   * @param {Element} item
   * @param {DoorbellToast.Toast} toast
   */
  #isBehind(visible, item, toast) {
    const other = this.#toastOf.get(/** @type {HTMLElement} */ (item));
    return other !== undefined && visible.indexOf(other) > visible.indexOf(toast);
  }

  /**
   * @param {DoorbellToast.Toast["id"]} id
   * @param {HTMLElement} item
   */
  #drop(id, item) {
    // By keyboard only: after a click the focus would hold the others, as if somebody read them.
    const wasFocused = item.querySelector(":focus-visible") !== null;
    const heir = item.nextElementSibling ?? item.previousElementSibling;
    this.#shown.delete(id);
    item.remove();
    if (wasFocused) (heir?.querySelector("button") ?? this.#cameFrom)?.focus();
    this.#resumeUnlessRead();
  }

  /** @param {DoorbellToast.Toast} toast */
  #item(toast) {
    const level = toast.level ?? "info";
    const item = element("li", "toast");
    item.dataset.testid = "toast";
    item.dataset.level = level;
    this.#toastOf.set(item, toast);

    const mark = element("span", "toast-mark", toast.actor ? initials(toast.actor.username) : "");
    mark.setAttribute("aria-hidden", "true");
    const text = element("div", "toast-text");
    text.append(element("strong", "toast-title", toast.title));
    if (toast.description) text.append(element("p", "toast-description", toast.description));
    for (const written of text.children) written.setAttribute("dir", "auto"); // people write from either side
    const foot = element("p", "toast-foot");
    if (toast.created_at) foot.append(timeElement(toast.created_at));
    const href = safeUrl(toast.url, document.baseURI);
    if (href) foot.append(this.#link(toast, href));
    if (foot.childElementCount > 0) text.append(foot);
    item.append(mark, text, this.#dismissButton(toast));
    return item;
  }

  /**
   * @param {DoorbellToast.Toast} toast
   * @param {string} href
   */
  #link(toast, href) {
    const link = document.createElement("a");
    link.className = "toast-link";
    link.textContent = toast.action ?? "Open";
    link.setAttribute("aria-label", `${link.textContent}: ${toast.title}`);
    link.href = href;
    link.rel = "noopener noreferrer";
    link.addEventListener("click", (event) => {
      const open = new CustomEvent("toast-open", { detail: toast, bubbles: true, cancelable: true });
      if (!this.dispatchEvent(open)) event.preventDefault();
      this.dismiss(toast.id);
    });
    return link;
  }

  /** @param {DoorbellToast.Toast} toast */
  #dismissButton(toast) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "toast-dismiss";
    button.setAttribute("aria-label", `Dismiss: ${toast.title}`);
    button.addEventListener("click", () => this.dismiss(toast.id));
    return button;
  }

  /** @param {KeyboardEvent} event */
  #escape(event) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    const focused = document.activeElement?.closest("li.toast");
    if (focused && !this.contains(focused)) return; // another region's
    const item = focused ?? this.#list.firstElementChild;
    const toast = item && this.#toastOf.get(/** @type {HTMLElement} */ (item));
    if (!toast) return;
    event.preventDefault(); // one key, one toast, however many regions there are
    this.dismiss(toast.id);
  }
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 */
function element(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}
