// The button beside a conversation that blocks the other person, or unblocks them, and the line that says so. The blocked
// person's own seat shows nothing of it: there it looks as if this one appeared offline.

import { DoorbellClient } from "../client/client.js";
import { isolated, part, screenReaderText } from "./dom.js";
import { Language } from "./language.js";

export class BlockingView {
  /** @type {Doorbell.User | null} */
  #partner = null;
  /** Ids of the blocked users. @type {Set<Doorbell.UserId>} */
  #blocked = new Set();

  /**
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   * @param {(username: string) => string} fullName
   * @param {Language} language
   * @param {(action: () => Promise<unknown>) => void} attempt
   */
  constructor(root, client, fullName, language, attempt) {
    this.client = client;
    this.fullName = fullName;
    this.language = language;
    this.button = part(root, "block");
    this.note = part(root, "blocked-note");
    this.button.addEventListener("click", () => attempt(() => this.#toggle()));
    language.addEventListener("change", () => this.render());
  }

  async load() {
    let page = await this.client.blocks({ limit: 200 });
    for (;;) {
      for (const { user } of page.items) this.#blocked.add(user.id);
      if (page.next === null) break;
      page = await this.client.blocks({ before: page.next, limit: 200 });
    }
    this.render();
  }

  /** @param {Doorbell.User} partner */
  show(partner) {
    this.#partner = partner;
    this.render();
  }

  async #toggle() {
    const partner = this.#partner;
    if (!partner) return;
    if (this.#blocked.has(partner.id)) {
      await this.client.unblock(partner.id);
      this.#blocked.delete(partner.id);
    } else {
      await this.client.block(partner.username);
      this.#blocked.add(partner.id);
    }
    this.render();
  }

  render() {
    const partner = this.#partner;
    if (!partner) return;
    const name = this.fullName(partner.username);
    const isBlocked = this.#blocked.has(partner.id);
    this.button.hidden = false;
    const action = document.createTextNode(this.language.t(isBlocked ? "unblock" : "block"));
    this.button.replaceChildren(...this.language.nodes("named", { action, name: screenReaderText(name) }, { isSpoken: true }));
    this.note.replaceChildren(...(isBlocked ? this.language.nodes("blocked", { name: isolated(name) }) : []));
  }
}
