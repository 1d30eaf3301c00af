// <doorbell-bell>: the number of unread notifications on a button, and behind it the list, unread ones first. It knows
// no network: set `client` (see types.d.ts; static/client's DoorbellClient fits).
//
//   <doorbell-bell></doorbell-bell>
//   document.querySelector("doorbell-bell").client = client;
//
// Attributes  no-title: leave the window's title alone, which else carries the count
// Methods     open(), close()
// Events      those of <doorbell-list>, which bubble
// Looks       bell.css, by link; themable by the --bell-* custom properties
// Keys        Escape closes the list and gives the focus back to the button
//
// Desktop notifications are offered at the foot of the list: asked for by that click, shown while the page is hidden.

import { adopt } from "../toast/adopt.js";
import { badgeText, spokenCount, titled } from "./arrange.js";
import { Desktop } from "./desktop.js";
import { DoorbellList, button, element } from "./list.js";

const BELL = "M12 3a6 6 0 0 0-6 6v4.2L4.4 16a.8.8 0 0 0 .7 1.2h13.8a.8.8 0 0 0 .7-1.2L18 13.2V9a6 6 0 0 0-6-6Zm-2.4 15.6a2.5 2.5 0 0 0 4.8 0Z";
const DESKTOP = {
  on: "Desktop notifications are on",
  off: "Notify me on the desktop when this page is hidden",
  blocked: "Desktop notifications are blocked by the browser",
  unsupported: "",
};
const MARGIN_PX = 12;
let made = 0;

export class DoorbellBell extends HTMLElement {
  /** @type {DoorbellBell.Client | null} */
  #client = null;
  #button = button("", "bell-button", () => (this.isOpen ? this.close() : this.open()));
  #badge = element("span", "bell-badge");
  #panel = element("div", "bell-panel");
  #readAll = button("Mark all read", "bell-action", () => this.#markAllRead());
  #desktopButton = button("", "bell-desktop", () => this.#toggleDesktop());
  #desktop = new Desktop();
  #onChange = () => this.#count();
  #onToast = (/** @type {Event} */ event) => this.#ring(/** @type {CustomEvent} */ (event).detail);
  #onOutside = (/** @type {Event} */ event) => {
    if (event.target instanceof Node && !this.contains(event.target)) this.close();
  };

  #onKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault(); // it is for the list, not for a toast
    this.close();
    this.#button.focus();
  };

  get client() {
    return this.#client;
  }

  set client(client) {
    this.#leave();
    this.#client = client;
    if (this.isConnected) this.#follow();
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  connectedCallback() {
    if (!this.#button.isConnected) this.#build();
    adopt(this, "client");
    this.#follow();
  }

  disconnectedCallback() {
    this.close();
    this.#leave();
    if (!this.hasAttribute("no-title")) document.title = titled(document.title, 0);
  }

  open() {
    if (this.isOpen) return;
    const list = new DoorbellList();
    list.setAttribute("order", "unread-first");
    list.setAttribute("empty", "All quiet. What happens shows here.");
    this.#panel.insertBefore(list, this.#desktopButton);
    list.client = this.#client;
    this.#panel.hidden = false;
    this.#button.setAttribute("aria-expanded", "true");
    this.#showDesktop();
    this.#keepInView();
    for (const type of ["pointerdown", "focusin"]) document.addEventListener(type, this.#onOutside);
    document.addEventListener("keydown", this.#onKey, { capture: true }); // before any toast
  }

  close() {
    if (!this.isOpen) return;
    if (this.#panel.contains(document.activeElement)) this.#button.focus();
    this.#panel.hidden = true;
    this.#panel.querySelector("doorbell-list")?.remove();
    this.#button.setAttribute("aria-expanded", "false");
    for (const type of ["pointerdown", "focusin"]) document.removeEventListener(type, this.#onOutside);
    document.removeEventListener("keydown", this.#onKey, { capture: true });
  }

  #build() {
    const id = `doorbell-bell-${++made}`;
    const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    picture.setAttribute("viewBox", "0 0 24 24");
    picture.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", BELL);
    picture.append(path);

    this.#badge.dataset.testid = "badge";
    this.#badge.setAttribute("aria-hidden", "true");
    this.#button.dataset.testid = "bell";
    this.#button.setAttribute("aria-expanded", "false");
    this.#button.setAttribute("aria-controls", id);
    this.#button.append(picture, this.#badge);

    const head = element("div", "bell-head");
    const heading = element("strong", "bell-heading", "Notifications");
    heading.id = `${id}-heading`;
    this.#readAll.dataset.testid = "bell-read-all";
    head.append(heading, this.#readAll);
    this.#desktopButton.dataset.testid = "bell-desktop";
    this.#panel.id = id;
    this.#panel.hidden = true;
    this.#panel.dataset.testid = "bell-panel";
    this.#panel.setAttribute("role", "region");
    this.#panel.setAttribute("aria-labelledby", heading.id);
    this.#panel.append(head, this.#desktopButton);
    this.append(this.#button, this.#panel);
    this.addEventListener("notification-open", () => this.close());
  }

  #follow() {
    this.#client?.addEventListener("change", this.#onChange);
    this.#client?.addEventListener("toast", this.#onToast);
    const list = this.querySelector("doorbell-list");
    if (list instanceof DoorbellList) list.client = this.#client;
    this.#count();
  }

  #leave() {
    this.#client?.removeEventListener("change", this.#onChange);
    this.#client?.removeEventListener("toast", this.#onToast);
  }

  #count() {
    const count = this.#client?.inbox.unreadCount ?? 0;
    this.#badge.textContent = badgeText(count);
    this.#badge.dataset.count = String(count);
    this.#button.setAttribute("aria-label", spokenCount(count));
    this.#readAll.setAttribute("aria-disabled", String(count === 0)); // not `disabled`: the focus would be lost
    if (!this.hasAttribute("no-title")) document.title = titled(document.title, count);
  }

  /** It hangs from the button's right; where that is too far left, it moves back into the window. */
  #keepInView() {
    this.#panel.style.translate = "";
    const { left } = this.#panel.getBoundingClientRect();
    if (left < MARGIN_PX) this.#panel.style.translate = `${MARGIN_PX - left}px`;
  }

  /** @param {DoorbellBell.Notification} notification */
  #ring(notification) {
    this.#button.classList.remove("bell-ringing");
    void this.#button.offsetWidth; // start the animation anew
    this.#button.classList.add("bell-ringing");
    this.#desktop.show(notification, () => this.open());
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
    this.#showDesktop();
  }

  #showDesktop() {
    const { state } = this.#desktop;
    this.#desktopButton.hidden = state === "unsupported";
    this.#desktopButton.textContent = DESKTOP[state];
    this.#desktopButton.setAttribute("aria-pressed", String(state === "on"));
    this.#desktopButton.toggleAttribute("disabled", state === "blocked");
  }
}
