// The "Appear offline" switch: contacts then see neither the user's presence nor when they were last seen.

import { DoorbellClient } from "../client/client.js";
import { part } from "./dom.js";

export class HidingView {
  /**
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   * @param {(action: () => Promise<unknown>) => void} attempt
   */
  constructor(root, client, attempt) {
    this.client = client;
    this.button = part(root, "hide");
    this.button.addEventListener("click", () => attempt(() => this.#toggle()));
  }

  async load() {
    this.#show(await this.client.http.get("profile"));
  }

  async #toggle() {
    const isHidden = this.button.getAttribute("aria-pressed") !== "true";
    this.#show(await this.client.http.patch("profile", { is_hidden: isHidden }));
  }

  /** @param {{is_hidden: boolean}} profile */
  #show({ is_hidden }) {
    this.button.setAttribute("aria-pressed", String(is_hidden));
    this.button.textContent = is_hidden ? "Appearing offline · undo" : "Appear offline";
    this.button.hidden = false;
  }
}
