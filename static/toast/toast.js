// <doorbell-toasts>: a region in the corner that shows new notifications as toasts. It has no network code: set `client` (see
// types.d.ts; static/client's DoorbellClient implements it), or call `show(toast)`.
//
// Attribute duration: how long a toast stays, in milliseconds (8000; errors twice that)
// Property  render: (toast) => Node, a page's own content of a toast, in place of sign, title and description; null: the built-in
// Property  labels: words that win over those of the page's language, static/labels/en.js names them
// Methods   show(toast), dismiss(id), clear()
// Events    `toast-open` (detail: the toast) when its link is activated; preventDefault() keeps the page;
//           those of elements/actions.js; `notification-error` (detail: the error) when the server refused to mark it as read
// Style     toast.css, by link; themable by the --toast-* custom properties on the element
// Keys      Escape closes the toast that has the focus, else the newest
//
// Text is only ever set as text, and the focus is never taken. The timers pause while the pointer or the focus is on the
// region, and while the page is hidden: a user who returns to the page sees what happened.

import { actionsOf } from "../elements/actions.js";
import { attach } from "../elements/attach.js";
import { button, element } from "../elements/element.js";
import { sign } from "../elements/icons.js";
import { initials } from "../elements/initials.js";
import { Labels } from "../elements/labels.js";
import { ownContent } from "../elements/own-content.js";
import { timeElement } from "../elements/relative-time.js";
import { safeUrl } from "../elements/safe-url.js";
import { upgradeProperty } from "../elements/upgrade-property.js";
import { Announcer } from "./announcer.js";
import { follow, followedBy } from "./follow.js";
import { DURATION_MS, ToastStack, isSameGroup } from "./stack.js";

const DEFAULT_MAX_VISIBLE = 5; // without toast.css, which sets the number by the window's size

export class DoorbellToasts extends HTMLElement {
  /** @type {DoorbellToast.Client | null} */
  #client = null;
  #labels = new Labels(this, () => this.#translate());
  #unfollow = () => {};
  /** @type {((toast: DoorbellToast.Toast) => Node | null | undefined) | null} */
  #ownRender = null;
  #stack = new ToastStack({ onChange: () => this.#render() });
  #list = element("ol", { role: "list" }); // the role: Safari drops it from a list without bullets
  #more = element("div", { class: "toast-more", testid: "toast-more", hidden: true });
  #moreCount = element("span");
  #clear = button("", { class: "toast-clear", onclick: () => this.clear() });
  /** The accessible name that the page has given it. @type {string | null} */
  #ownName = null;
  #announcer = new Announcer();
  /** The items on the page, by the toast's id. @type {Map<DoorbellToast.Toast["id"], HTMLElement>} */
  #items = new Map();
  /** @type {WeakMap<HTMLElement, DoorbellToast.Toast>} */
  #toastOf = new WeakMap();
  /** The element that had the focus before this region. @type {HTMLElement | null} */
  #previousFocus = null;
  #onKey = (/** @type {KeyboardEvent} */ event) => this.#handleKey(event);
  #hasShown = false;
  #onVisibility = () => (document.hidden ? this.#stack.pause() : this.#resumeUnlessReading());

  get client() {
    return this.#client;
  }

  set client(client) {
    this.#client = client;
    this.#follow();
  }

  get render() {
    return this.#ownRender;
  }

  /** For toasts that are shown from then on. */
  set render(render) {
    this.#ownRender = render;
  }

  get labels() {
    return this.#labels.own;
  }

  set labels(labels) {
    this.#labels.own = labels;
  }

  connectedCallback() {
    const isOther = this.#labels.connect();
    if (!this.#list.isConnected) this.#build();
    else if (isOther) this.#translate();
    for (const name of ["client", "render", "labels"]) upgradeProperty(this, name);
    attach(this, () => this.#hasShown || followedBy(this) !== null);
    this.#follow();
    document.addEventListener("keydown", this.#onKey);
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#onVisibility(); // a tab that is opened in the background is hidden from the start
  }

  disconnectedCallback() {
    this.#labels.disconnect();
    this.#unfollow();
    document.removeEventListener("keydown", this.#onKey);
    document.removeEventListener("visibilitychange", this.#onVisibility);
  }

  /** @param {DoorbellToast.Toast} toast */
  show(toast) {
    this.#hasShown = true;
    this.#stack.maxVisible = Number(getComputedStyle(this).getPropertyValue("--_visible")) || DEFAULT_MAX_VISIBLE;
    this.#stack.duration = Number(this.getAttribute("duration")) || DURATION_MS;
    this.#stack.show(toast);
    if (!this.matches(":hover")) this.#list.scrollTop = 0; // scroll to the newest, unless the user reads further down
    this.#announcer.announce(toast, this.#labels.t);
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
    this.#ownName = this.getAttribute("aria-label");
    this.#more.append(this.#moreCount, this.#clear);
    this.append(this.#list, this.#more, this.#announcer.element);
    this.#translate();
    this.addEventListener("focusin", ({ relatedTarget }) => {
      if (relatedTarget instanceof HTMLElement && !this.contains(relatedTarget)) this.#previousFocus = relatedTarget;
    });
    for (const type of ["pointerenter", "focusin"]) this.addEventListener(type, () => this.#stack.pause());
    for (const type of ["pointerleave", "focusout"]) this.addEventListener(type, () => this.#resumeUnlessReading());
  }

  #translate() {
    this.setAttribute("aria-label", this.#ownName ?? this.#labels.t("toasts"));
    this.#clear.textContent = this.#labels.t("dismissAll");
    for (const item of this.#items.values()) item.remove();
    this.#items.clear();
    this.#render();
  }

  #follow() {
    this.#unfollow();
    if (this.#client && this.isConnected) this.#unfollow = follow(this, this.#client);
  }

  #resumeUnlessReading() {
    queueMicrotask(() => {
      const isReading = document.hidden || this.matches(":hover") || this.contains(document.activeElement);
      if (!isReading) this.#stack.resume();
    });
  }

  #render() {
    const visible = this.#stack.visible;
    const remaining = new Set(visible);
    for (const [id, item] of this.#items) {
      const toast = /** @type {DoorbellToast.Toast} */ (this.#toastOf.get(item));
      if (remaining.has(toast)) continue;
      const heir = visible.find((other) => !this.#items.has(other.id) && isSameGroup(other, toast));
      if (heir) this.#replace(id, item, heir);
      else this.#remove(id, item);
    }
    // Oldest first, each inserted above the older ones: existing items aren't moved, so none is announced or animated twice.
    for (const toast of [...visible].reverse()) {
      if (this.#items.has(toast.id)) continue;
      const item = this.#item(toast);
      this.#items.set(toast.id, item);
      const older = [...this.#list.children].find((other) => this.#isOlder(visible, other, toast));
      this.#list.insertBefore(item, older ?? null);
    }
    this.#moreCount.textContent = this.#labels.t("more", { count: this.#stack.more });
    this.#more.hidden = this.#stack.more === 0;
  }

  /**
   * @param {DoorbellToast.Toast["id"]} id
   * @param {HTMLElement} item
   * @param {DoorbellToast.Toast} toast of the same group
   */
  #replace(id, item, toast) {
    const focused = item.querySelector(":focus");
    const replacement = this.#item(toast);
    this.#items.delete(id);
    this.#items.set(toast.id, replacement);
    item.replaceWith(replacement);
    if (!focused) return;
    const same = focused.className && replacement.getElementsByClassName(focused.className)[0];
    /** @type {HTMLElement | null} */ (same || replacement.querySelector("button"))?.focus();
  }

  /**
   * @param {DoorbellToast.Toast[]} visible newest first
   * @param {Element} item
   * @param {DoorbellToast.Toast} toast
   */
  #isOlder(visible, item, toast) {
    const other = this.#toastOf.get(/** @type {HTMLElement} */ (item));
    return other !== undefined && visible.indexOf(other) > visible.indexOf(toast);
  }

  /**
   * @param {DoorbellToast.Toast["id"]} id
   * @param {HTMLElement} item
   */
  #remove(id, item) {
    // With the keyboard only: after a click the moved focus would pause the other toasts, as if the user read them.
    const wasFocused = item.querySelector(":focus-visible") !== null;
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    this.#items.delete(id);
    item.remove();
    if (wasFocused) (neighbour?.querySelector("button") ?? this.#previousFocus)?.focus();
    this.#resumeUnlessReading();
  }

  /** @param {DoorbellToast.Toast} toast */
  #item(toast) {
    const level = toast.level ?? "info";
    const own = ownContent(this, this.#ownRender, toast);
    const mark = element("span", { class: "toast-mark", "aria-hidden": true }, sign(toast, initials));
    // `dir`: the text may be written from left to right or from right to left.
    const text = element("div", { class: "toast-text" }, own ?? element("strong", { class: "toast-title", dir: "auto" }, toast.title));
    if (!own && toast.description) text.append(element("p", { class: "toast-description", dir: "auto" }, toast.description));
    const foot = element("div", { class: "toast-foot" });
    if (toast.created_at) foot.append(timeElement(toast.created_at, this.#labels));
    const href = safeUrl(toast.url, document.baseURI);
    if (href) foot.append(this.#link(toast, href));
    const classes = { link: "toast-link", button: "toast-link toast-action" };
    foot.append(...actionsOf(this, toast, () => followedBy(this), this.#labels.t, classes, () => this.dismiss(toast.id)));
    if (foot.childElementCount > 0) text.append(foot);
    const dismiss = button("", {
      class: "toast-dismiss",
      "aria-label": this.#labels.t("actionTitle", { action: this.#labels.t("dismiss"), title: toast.title }),
      onclick: () => this.dismiss(toast.id),
    });
    const item = element("li", { class: "toast", testid: "toast", "data-level": level, "data-type": toast.notification_type ?? "" }, own ? null : mark, text, dismiss);
    this.#toastOf.set(item, toast);
    return item;
  }

  /**
   * @param {DoorbellToast.Toast} toast
   * @param {string} href
   */
  #link(toast, href) {
    const action = toast.action ?? this.#labels.t("open");
    const label = this.#labels.t("actionTitle", { action, title: toast.title });
    const onclick = (/** @type {Event} */ event) => {
      const open = new CustomEvent("toast-open", { detail: toast, bubbles: true, cancelable: true });
      if (!this.dispatchEvent(open)) event.preventDefault();
      this.dismiss(toast.id);
    };
    return element("a", { class: "toast-link", href, rel: "noopener noreferrer", "aria-label": label, onclick }, action);
  }

  /** @param {KeyboardEvent} event */
  #handleKey(event) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    const focused = document.activeElement?.closest("li.toast");
    if (focused && !this.contains(focused)) return; // in another region
    const item = focused ?? this.#list.firstElementChild;
    const toast = item && this.#toastOf.get(/** @type {HTMLElement} */ (item));
    if (!toast) return;
    event.preventDefault(); // one key press closes one toast, however many regions there are
    this.dismiss(toast.id);
  }
}
