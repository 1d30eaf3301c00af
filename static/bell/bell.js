// <doorbell-bell>: a button with the unread count that opens the list of notifications, unread ones first. It has no network
// code: set `client` (see types.d.ts; static/client's DoorbellClient implements it).
//
//   <doorbell-bell></doorbell-bell>
//   document.querySelector("doorbell-bell").client = client;
//
// Property    decorate: as for <doorbell-list>
// Attributes  no-title: don't put the count into the window's title
//             unread: the count until the client has read the list; a page rendered by the server has it
// Property    render: (row) => Node, a page's own content of an item of the list (see list.js)
// Property    labels: words that win over those of the page's language, static/labels/en.js names them
// Methods     open(), close()
// State       data-status: what it knows (statusOf in elements/status.js), said in the list and in the button's name;
//             data-state and data-reason: the client's state, and why it isn't connected
// Events      those of <doorbell-list>, which bubble
// Style       bell.css, by link; themable by the --bell-* custom properties
// Keys        Escape closes the list and returns the focus to the button
//
// Desktop notifications are offered below the list: a click there requests the permission; they are shown while the page is
// hidden.

import { attach } from "../elements/attach.js";
import { button, element } from "../elements/element.js";
import { Labels } from "../elements/labels.js";
import { hasInbox, spoken, statusOf } from "../elements/status.js";
import { upgradeProperty } from "../elements/upgrade-property.js";
import { DesktopNotifications } from "./desktop.js";
import { badgeText, countLabel, withCount } from "./format.js";
import { DoorbellList } from "./list.js";

const BELL_PATH = "M12 3a6 6 0 0 0-6 6v4.2L4.4 16a.8.8 0 0 0 .7 1.2h13.8a.8.8 0 0 0 .7-1.2L18 13.2V9a6 6 0 0 0-6-6Zm-2.4 15.6a2.5 2.5 0 0 0 4.8 0Z";
const DESKTOP_LABELS = /** @type {const} */ ({ on: "desktopOn", off: "desktopOff", blocked: "desktopBlocked" });
const VIEWPORT_MARGIN_PX = 12;
let instances = 0;

export class DoorbellBell extends HTMLElement {
  /** @type {(row: DoorbellBell.Notification) => DoorbellBell.Notification} */
  #decorate = (row) => row;
  /** @type {DoorbellBell.Client | null} */
  #client = null;
  /** @type {((row: DoorbellBell.Notification) => Node | null | undefined) | null} */
  #ownRender = null;
  #labels = new Labels(this, () => this.#translate());
  #button = button("", { class: "bell-button", testid: "bell", onclick: () => (this.isOpen ? this.close() : this.open()) });
  #badge = element("span", { class: "bell-badge", testid: "badge", "aria-hidden": true });
  #panel = element("div", { class: "bell-panel", testid: "bell-panel" });
  #heading = element("strong", { class: "bell-heading" });
  #readAll = button("", { class: "bell-action", testid: "bell-read-all", onclick: () => this.#markAllRead() });
  #desktopButton = button("", { class: "bell-desktop", testid: "bell-desktop", onclick: () => this.#toggleDesktop() });
  #desktop = new DesktopNotifications();
  #onChange = () => this.#renderCount();
  #onState = (/** @type {Event} */ event) => {
    const { state, reason } = /** @type {CustomEvent} */ (event).detail;
    Object.assign(this.dataset, { state, reason });
    this.#renderCount();
  };
  #onToast = (/** @type {Event} */ event) => this.#ring(/** @type {CustomEvent} */ (event).detail);
  #onOutsideEvent = (/** @type {Event} */ event) => {
    if (event.target instanceof Node && !this.contains(event.target)) this.close();
  };

  #onKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault(); // handled: a toast must not handle it, too
    this.close();
    this.#button.focus();
  };

  get client() {
    return this.#client;
  }

  set client(client) {
    this.#unfollow();
    this.#client = client;
    if (this.isConnected) this.#follow();
  }

  get render() {
    return this.#ownRender;
  }

  set render(render) {
    this.#ownRender = render;
    const list = this.querySelector("doorbell-list");
    if (list instanceof DoorbellList) list.render = render;
  }

  get decorate() {
    return this.#decorate;
  }

  set decorate(decorate) {
    this.#decorate = decorate;
    const list = this.querySelector("doorbell-list");
    if (list instanceof DoorbellList) list.decorate = decorate;
  }

  get labels() {
    return this.#labels.own;
  }

  set labels(labels) {
    this.#labels.own = labels;
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  connectedCallback() {
    if (!this.#button.isConnected) this.#build();
    this.#labels.connect();
    for (const name of ["client", "decorate", "render", "labels"]) upgradeProperty(this, name);
    attach(this);
    this.#translate();
    this.#follow();
  }

  disconnectedCallback() {
    this.close();
    this.#labels.disconnect();
    this.#unfollow();
    if (!this.hasAttribute("no-title")) document.title = withCount(document.title, 0);
  }

  open() {
    if (this.isOpen) return;
    const list = new DoorbellList();
    list.setAttribute("order", "unread-first");
    list.render = this.#ownRender;
    this.#translateList(list);
    this.#panel.insertBefore(list, this.#desktopButton);
    list.decorate = this.#decorate;
    list.client = this.#client;
    this.#panel.hidden = false;
    this.#button.setAttribute("aria-expanded", "true");
    this.#renderDesktop();
    this.#moveIntoViewport();
    for (const type of ["pointerdown", "focusin"]) document.addEventListener(type, this.#onOutsideEvent);
    document.addEventListener("keydown", this.#onKey, { capture: true }); // before the toasts' listener
  }

  close() {
    if (!this.isOpen) return;
    if (this.#panel.contains(document.activeElement)) this.#button.focus();
    this.#panel.hidden = true;
    this.#panel.querySelector("doorbell-list")?.remove();
    this.#button.setAttribute("aria-expanded", "false");
    for (const type of ["pointerdown", "focusin"]) document.removeEventListener(type, this.#onOutsideEvent);
    document.removeEventListener("keydown", this.#onKey, { capture: true });
  }

  #build() {
    const id = `doorbell-bell-${++instances}`;
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    icon.setAttribute("viewBox", "0 0 24 24");
    icon.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", BELL_PATH);
    icon.append(path);

    this.#button.setAttribute("aria-expanded", "false");
    this.#button.setAttribute("aria-controls", id);
    this.#button.append(icon, this.#badge);

    this.#heading.id = `${id}-heading`;
    const head = element("div", { class: "bell-head" }, this.#heading, this.#readAll);
    this.#panel.id = id;
    this.#panel.hidden = true;
    this.#panel.setAttribute("role", "region");
    this.#panel.setAttribute("aria-labelledby", this.#heading.id);
    this.#panel.append(head, this.#desktopButton);
    this.replaceChildren(this.#button, this.#panel); // what the server has rendered shows the same without script
    this.addEventListener("notification-open", () => this.close());
    this.addEventListener("notification-action", (event) => {
      if (/** @type {CustomEvent} */ (event).detail.action.method === "GET") this.close();
    });
  }

  #translate() {
    this.#heading.textContent = this.#labels.t("notifications");
    this.#readAll.textContent = this.#labels.t("markAllRead");
    const list = this.querySelector("doorbell-list");
    if (list instanceof DoorbellList) this.#translateList(list);
    this.#renderDesktop();
    this.#renderCount();
  }

  /** @param {DoorbellList} list */
  #translateList(list) {
    list.setAttribute("empty", this.#labels.t("emptyBell"));
    list.labels = this.#labels.own;
  }

  #follow() {
    this.#client?.addEventListener("change", this.#onChange);
    this.#client?.addEventListener("toast", this.#onToast);
    this.#client?.addEventListener("state", this.#onState);
    const list = this.querySelector("doorbell-list");
    if (list instanceof DoorbellList) list.client = this.#client;
    this.#renderCount();
  }

  #unfollow() {
    this.#client?.removeEventListener("change", this.#onChange);
    this.#client?.removeEventListener("toast", this.#onToast);
    this.#client?.removeEventListener("state", this.#onState);
  }

  #renderCount() {
    const status = statusOf(this.#client);
    if (this.dataset.status !== status) this.#renderStatus(status);
    const inbox = this.#client?.inbox;
    const isRead = inbox && inbox.position !== null;
    const known = isRead ? inbox.unreadCount : this.hasAttribute("unread") ? Number(this.getAttribute("unread")) || 0 : null;
    const shown = status === "signed-out" ? null : known;
    const count = shown ?? 0;
    this.#badge.textContent = badgeText(count, this.#labels);
    this.#badge.dataset.count = String(count);
    this.#button.setAttribute("aria-label", countLabel(shown, spoken(status, this.#labels.t), this.#labels.t));
    this.#readAll.setAttribute("aria-disabled", String(count === 0)); // not `disabled`, which would lose the focus
    if (!this.hasAttribute("no-title")) document.title = withCount(document.title, count);
  }

  /** @param {import("../elements/status.js").Status} status */
  #renderStatus(status) {
    this.dataset.status = status;
    for (const offered of [this.#readAll, this.#desktopButton]) {
      if (!hasInbox(status) && document.activeElement === offered) this.#button.focus();
    }
    this.#readAll.hidden = !hasInbox(status);
    this.#renderDesktop();
  }

  /** The panel is aligned with the end of the button; if it then exceeds the window's edge, it is moved back. */
  #moveIntoViewport() {
    this.#panel.style.transform = "";
    const { left, right } = this.#panel.getBoundingClientRect();
    const last = document.documentElement.clientWidth - VIEWPORT_MARGIN_PX;
    const shift = left < VIEWPORT_MARGIN_PX ? VIEWPORT_MARGIN_PX - left : Math.min(0, last - right);
    if (shift !== 0) this.#panel.style.transform = `translateX(${shift}px)`;
  }

  /** @param {DoorbellBell.Notification} notification */
  #ring(notification) {
    this.#button.classList.remove("bell-ringing");
    void this.#button.offsetWidth; // forces a reflow, which restarts the animation
    this.#button.classList.add("bell-ringing");
    this.#desktop.show(this.#decorate(notification), () => this.open());
  }

  async #markAllRead() {
    if (this.#client?.inbox.unreadCount === 0) return;
    try {
      await this.#client?.markAllRead();
    } catch (error) {
      this.dispatchEvent(new CustomEvent("notification-error", { detail: error, bubbles: true }));
    }
  }

  async #toggleDesktop() {
    await this.#desktop.toggle();
    this.#renderDesktop();
  }

  #renderDesktop() {
    const { state } = this.#desktop;
    this.#desktopButton.hidden = state === "unsupported" || !hasInbox(statusOf(this.#client));
    this.#desktopButton.textContent = state === "unsupported" ? "" : this.#labels.t(DESKTOP_LABELS[state]);
    this.#desktopButton.setAttribute("aria-pressed", String(state === "on"));
    this.#desktopButton.toggleAttribute("disabled", state === "blocked");
  }
}
