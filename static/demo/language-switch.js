// The switch of a seat's language. The person's profile keeps it: what is sent to them comes in it, whoever writes.

import { DoorbellClient } from "../client/client.js";
import { part } from "./dom.js";
import { Language, codeOf } from "./language.js";

export class LanguageSwitch {
  #isBusy = false;

  /**
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   * @param {Language} language
   * @param {(action: () => Promise<unknown>) => void} attempt
   */
  constructor(root, client, language, attempt) {
    this.client = client;
    this.language = language;
    this.select = /** @type {HTMLSelectElement} */ (part(root, "language"));
    this.select.value = language.code;
    this.select.addEventListener("change", () => attempt(() => this.#store()));
  }

  /** The profile may have been changed elsewhere. @param {{language: string}} profile */
  async show({ language }) {
    if (!language || this.#isBusy) return;
    this.select.value = codeOf(language);
    if (this.select.value !== this.language.code) await this.language.choose(language);
  }

  /** One request at a time: what is chosen during one follows it. */
  async #store() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.select.value !== this.language.code) {
        const chosen = this.select.value;
        await this.client.http.patch("profile", { language: chosen });
        await this.language.choose(chosen);
      }
    } catch (error) {
      this.select.value = this.language.code;
      throw error;
    } finally {
      this.#isBusy = false;
    }
  }
}
