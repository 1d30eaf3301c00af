// The "Appear offline" switch: contacts then see neither the user's presence nor when they were last seen.

import { DoorbellClient } from "../client/client.js";
import { part } from "./dom.js";
import { Language } from "./language.js";

export class HidingView {
  /** Null until the profile is read. @type {boolean | null} */
  #isHidden = null;

  /**
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   * @param {Language} language
   * @param {(action: () => Promise<unknown>) => void} attempt
   */
  constructor(root, client, language, attempt) {
    this.client = client;
    this.language = language;
    this.button = part(root, "hide");
    this.button.addEventListener("click", () => attempt(() => this.#toggle()));
    language.addEventListener("change", () => this.#render());
  }

  /** @param {{is_hidden: boolean}} profile */
  show({ is_hidden }) {
    this.#isHidden = is_hidden;
    this.#render();
  }

  async #toggle() {
    this.show(await this.client.http.patch("profile", { is_hidden: !this.#isHidden }));
  }

  #render() {
    if (this.#isHidden === null) return;
    this.button.setAttribute("aria-pressed", String(this.#isHidden));
    this.button.textContent = this.language.t(this.#isHidden ? "hidden" : "hide");
    this.button.title = this.button.textContent;
    this.button.hidden = false;
  }
}
