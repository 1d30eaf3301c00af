// The bell: the number of unread notifications, on the button and in the title of the window.

import { DoorbellClient } from "../client/client.js";
import { part } from "./dom.js";

const TITLE = document.title;

export class BellView {
  /**
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   */
  constructor(root, client) {
    this.client = client;
    this.button = part(root, "bell");
    this.badge = part(root, "badge");
    const list = part(root, "notifications-heading");
    this.button.addEventListener("click", () => {
      list.scrollIntoView({ block: "start" });
      list.focus();
    });
    client.addEventListener("change", () => this.render());
    client.addEventListener("toast", () => this.#ring());
  }

  render() {
    const count = this.client.inbox.unreadCount;
    this.badge.textContent = String(count);
    this.badge.dataset.count = String(count);
    this.button.setAttribute("aria-label", `Notifications, ${count} unread`);
    document.title = count > 0 ? `(${count}) ${TITLE}` : TITLE;
  }

  #ring() {
    this.button.classList.remove("ringing");
    void this.button.offsetWidth; // start the animation anew
    this.button.classList.add("ringing");
  }
}

export function forgetTitle() {
  document.title = TITLE;
}
