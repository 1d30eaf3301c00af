// <doorbell-toasts>: a region in the corner that shows what just happened. It knows no network: call `show(toast)`.
//
// Methods   show(toast), dismiss(id), clear()
// Events    `toast-open` (detail: the toast) when its link or text is activated; preventDefault() keeps the page
// Looks     toast.css, by link; themable by the --toast-* custom properties on the element
// Keys      Escape closes the toast that has the focus, else the newest
//
// Text is only ever set as text. Time stands still while the pointer or the focus is on the region.

import { safeUrl } from "./safe-url.js";
import { ToastStack } from "./stack.js";

/** What the colour says, for those who don't see it. */
const SPOKEN = { info: "", success: "", warning: "Warning: ", error: "Error: " };

export class DoorbellToasts extends HTMLElement {
  #stack = new ToastStack({ changed: () => this.#render() });
  #list = document.createElement("ol");
  #more = document.createElement("p");
  /** The toasts on the page, by id, each with what it was made from. @type {Map<DoorbellToast.Toast["id"], HTMLElement>} */
  #shown = new Map();
  /** @type {WeakMap<HTMLElement, DoorbellToast.Toast>} */
  #toastOf = new WeakMap();
  #onKey = (/** @type {KeyboardEvent} */ event) => this.#escape(event);

  connectedCallback() {
    if (!this.#list.isConnected) this.#build();
    document.addEventListener("keydown", this.#onKey);
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.#onKey);
  }

  /** @param {DoorbellToast.Toast} toast */
  show(toast) {
    this.#stack.show(toast);
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
    this.#list.setAttribute("aria-live", "polite");
    this.#list.setAttribute("aria-relevant", "additions text");
    this.#list.setAttribute("role", "list");
    this.#more.className = "toast-more";
    this.#more.hidden = true;
    this.append(this.#list, this.#more);
    for (const type of ["pointerenter", "focusin"]) this.addEventListener(type, () => this.#stack.pause());
    for (const type of ["pointerleave", "focusout"]) this.addEventListener(type, () => this.#resumeUnlessRead());
  }

  #resumeUnlessRead() {
    queueMicrotask(() => {
      if (!this.matches(":hover") && !this.contains(document.activeElement)) this.#stack.resume();
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
    this.#more.textContent = `${this.#stack.more} more`;
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
    const hadFocus = item.contains(document.activeElement);
    const heir = item.nextElementSibling ?? item.previousElementSibling;
    this.#shown.delete(id);
    item.remove();
    if (hadFocus) heir?.querySelector("button")?.focus();
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
    const title = element("strong", "toast-title");
    title.append(element("span", "toast-spoken", SPOKEN[level] ?? ""), toast.title);
    text.append(title);
    if (toast.description) text.append(element("p", "toast-description", toast.description));
    const href = safeUrl(toast.url, document.baseURI);
    if (href) text.append(this.#link(toast, href));
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
    link.textContent = "Open";
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
    const item = focused && this.contains(focused) ? focused : this.#list.firstElementChild;
    const toast = item && this.#toastOf.get(/** @type {HTMLElement} */ (item));
    if (toast) this.dismiss(toast.id);
  }
}

/** @param {string} name up to two letters of it */
export function initials(name) {
  const letters = name.split(/[\s._-]+/).filter(Boolean).map((word) => [...word][0] ?? "");
  return letters.slice(0, 2).join("").toUpperCase();
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
