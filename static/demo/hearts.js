// Hearts for a message, and how a notification that stands for many of them looks: an example of what a type may bring. The type
// itself is in config/demo/notification_types.py.

import { DoorbellClient } from "../client/client.js";
import { element } from "../elements/element.js";
import { icons, sign } from "../elements/icons.js";
import { screenReaderText } from "./dom.js";
import { Language } from "./language.js";

const MAX_MEMBERS = 100;

icons.set("heart", "M12 21 3.4 12.2a5.5 5.5 0 0 1 7.8-7.8l.8.8.8-.8a5.5 5.5 0 0 1 7.8 7.8Z");

export class Hearts {
  /** How many have been sent, by the message's id. @type {Map<number, number>} */
  #sent = new Map();

  /**
   * @param {DoorbellClient} client
   * @param {Language} language
   * @param {(action: () => Promise<unknown>) => void} attempt
   */
  constructor(client, language, attempt) {
    this.client = client;
    this.language = language;
    this.attempt = attempt;
  }

  /** The button beside a message, with the number that it has sent. @param {Doorbell.Message} message */
  offer({ id }) {
    const label = this.language.t("sendHeart");
    const count = element("span", { class: "hearts", role: "status" });
    const onclick = () =>
      this.attempt(async () => {
        await this.client.http.submit(`/demo/messages/${id}/heart`);
        this.#sent.set(id, (this.#sent.get(id) ?? 0) + 1);
        this.#showSent(count, id);
      });
    const button = element("button", { type: "button", class: "link heart", testid: "heart", title: label, onclick }, heart(), screenReaderText(label));
    this.#showSent(count, id);
    return element("span", { class: "offer" }, button, count);
  }

  /**
   * @param {HTMLElement} node
   * @param {number} id
   */
  #showSent(node, id) {
    const count = this.#sent.get(id);
    if (!count) return;
    const number = document.createTextNode(this.language.number(count));
    node.replaceChildren(...this.language.nodes("heartsSent", { count: number }, { count, isSpoken: true }));
  }

  /**
   * For `render` of bell and list: a notification that stands for others can be unfolded; null: it looks as any other.
   * @param {DoorbellBell.Notification & {count?: number}} row
   */
  render = (row) => {
    const { count = 1 } = row;
    if (count < 2) return null;
    const members = element("ol", { class: "plain" });
    const summary = element("summary", { testid: "members" }, this.language.t("showMembers", { count }));
    const details = element("details", { class: "members" }, summary, members);
    details.addEventListener("toggle", () => details.open && this.attempt(() => this.#readMembers(row.id, members)));
    const description = row.description ? element("p", { class: "bell-description", dir: "auto" }, row.description) : null;
    const text = element("div", { class: "group-text" }, element("strong", { class: "bell-title", dir: "auto" }, row.title), description, details);
    // It comes from several people: the type's sign rather than one person's.
    return element("div", { class: "group" }, element("span", { class: "bell-mark", "aria-hidden": true }, sign({ icon: row.icon }, String)), text);
  };

  /**
   * @param {number} id
   * @param {HTMLElement} list
   */
  async #readMembers(id, list) {
    list.replaceChildren(element("li", { class: "muted" }, this.language.t("reading")));
    /** @type {Doorbell.Members} */
    const { items } = await this.client.http.get(`notifications/${id}/members`, { limit: MAX_MEMBERS });
    const rows = items.map(({ title, created_at }) => element("li", {}, element("span", { dir: "auto" }, title), " ", this.language.time(created_at)));
    list.replaceChildren(...rows);
  }
}

function heart() {
  return sign({ icon: "heart" }, String);
}
