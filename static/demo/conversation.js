// The conversation with one person: what was said, what was read, and a line to write. Opening it reads what is there;
// what comes while it is open is marked read by a button or by answering, so that the bell can be watched meanwhile.

import { DoorbellClient } from "../client/client.js";
import { timeElement } from "../toast/time.js";
import { avatar, el, named, part, spoken } from "./dom.js";

const NEAR_PX = 16; // so near to the end is at the end

export class ConversationView {
  /** @type {Doorbell.User | null} */
  #partner = null;
  /** Messages with the partner, by id. @type {Map<number, Doorbell.Message>} */
  #messages = new Map();
  /** @type {number | null} */
  #next = null;
  /** What was begun and not sent, by the id of the partner. @type {Map<number, string>} */
  #drafts = new Map();
  #isStale = false;
  #isReading = false;

  /**
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   * @param {(username: string) => string} fullName
   * @param {(action: () => Promise<unknown>) => void} attempt
   */
  constructor(root, client, fullName, attempt) {
    this.client = client;
    this.fullName = fullName;
    this.attempt = attempt;
    this.heading = part(root, "conversation-heading");
    this.log = part(root, "log");
    this.empty = part(root, "conversation-empty");
    this.earlier = part(root, "earlier");
    this.form = /** @type {HTMLFormElement} */ (part(root, "composer"));
    this.input = /** @type {HTMLTextAreaElement} */ (part(root, "message-input"));
    this.earlier.addEventListener("click", () => attempt(() => this.#loadEarlier()));
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.input.addEventListener("keydown", (event) => this.#onKey(event));
    client.addEventListener("change", (event) => this.#changed(/** @type {CustomEvent} */ (event).detail));
    client.addEventListener("synced", () => attempt(() => this.#refresh()));
  }

  /** @param {Doorbell.User} partner */
  async open(partner) {
    if (this.#partner) this.#drafts.set(this.#partner.id, this.input.value);
    this.#partner = partner;
    this.input.value = this.#drafts.get(partner.id) ?? "";
    this.#messages.clear();
    this.#next = null;
    this.form.hidden = false;
    this.input.placeholder = "Write a message";
    this.render();
    this.input.focus({ preventScroll: true });
    await this.#readLatest();
    if (this.#partner !== partner) return;
    this.#toEnd();
    await this.#readAll();
  }

  /** Something happened: does it belong to this conversation? @param {Doorbell.InboxChange} change */
  #changed(change) {
    const read = change.read.map((id) => this.client.inbox.get(id));
    const concerned = [...change.added, ...read].some((row) => row?.actor && row.actor.id === this.#partner?.id);
    if (concerned) this.attempt(() => this.#refresh());
  }

  /** One reading at a time; what happens during it is looked at after it, so that a flood isn't answered with one. */
  async #refresh() {
    this.#isStale = true;
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (this.#isStale) {
        this.#isStale = false;
        await this.#readLatest();
      }
    } finally {
      this.#isReading = false;
    }
  }

  async #readLatest() {
    const partner = this.#partner;
    if (!partner) return;
    const page = await this.client.messages(partner.username, { limit: 30 });
    if (partner !== this.#partner) return;
    if (this.#messages.size === 0) this.#next = page.next;
    const wasAtEnd = this.#isAtEnd();
    this.#take(page.items);
    if (wasAtEnd) this.#toEnd(); // who reads what was said before is left alone
  }

  async #loadEarlier() {
    const partner = this.#partner;
    if (!partner || this.#next === null) return;
    const page = await this.client.messages(partner.username, { before: this.#next, limit: 30 });
    if (partner !== this.#partner) return;
    this.#next = page.next;
    const { scrollTop, scrollHeight } = this.log;
    // The button goes with the last page, and the focus that is on it would go with it.
    if (page.next === null && document.activeElement === this.earlier) this.log.focus({ preventScroll: true });
    this.#take(page.items);
    this.log.scrollTop = scrollTop + this.log.scrollHeight - scrollHeight;
  }

  #isAtEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_PX;
  }

  #toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  /** @param {Doorbell.Message[]} messages */
  #take(messages) {
    for (const message of messages) this.#messages.set(message.id, message);
    this.render();
  }

  async #readAll() {
    for (const message of this.#messages.values()) if (this.#isNew(message)) await this.#read(message);
  }

  /** @param {Doorbell.Message} message */
  async #read(message) {
    await this.client.markMessageRead(message.id);
    if (this.#messages.has(message.id)) this.#take([{ ...message, is_read: true }]);
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    const content = this.input.value.trim();
    const partner = this.#partner;
    if (!content || !partner) return;
    this.input.value = "";
    this.attempt(async () => {
      try {
        const message = await this.client.sendMessage(partner.username, content);
        if (partner !== this.#partner) return;
        this.#take([message]);
        this.#toEnd();
        await this.#readAll(); // who answers has read
      } catch (error) {
        this.#restore(partner, content);
        throw error;
      }
    });
  }

  /**
   * Nothing typed is lost, unless something else has been typed since.
   * @param {Doorbell.User} partner
   * @param {string} content
   */
  #restore(partner, content) {
    if (partner.id !== this.#partner?.id) this.#drafts.set(partner.id, this.#drafts.get(partner.id) || content);
    else this.input.value ||= content;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.form.requestSubmit();
  }

  render() {
    const partner = this.#partner;
    if (!partner) return;
    const name = this.fullName(partner.username);
    this.heading.replaceChildren(avatar(partner.username, name), named(name));
    const messages = [...this.#messages.values()].sort((a, b) => a.id - b.id);
    const focused = this.log.contains(document.activeElement) ? document.activeElement?.closest(".message") : null;
    this.log.replaceChildren(...messages.map((message) => this.#item(message)));
    if (focused) this.#refocus(Number(focused.getAttribute("data-id")));
    this.earlier.hidden = this.#next === null;
    this.empty.hidden = messages.length > 0;
    this.empty.replaceChildren("Nothing said yet. Write the first line to ", named(name), ": the toast appears on their side.");
  }

  /** The button that had the focus has been made anew, or is gone: then the next one, or the messages. @param {number} id */
  #refocus(id) {
    const buttons = /** @type {HTMLElement[]} */ ([...this.log.querySelectorAll(".message button")]);
    const next = buttons.find((button) => Number(button.closest(".message")?.getAttribute("data-id")) >= id);
    (next ?? this.log).focus({ preventScroll: true });
  }

  /** @param {Doorbell.Message} message */
  #item(message) {
    const isMine = message.sender.id !== this.#partner?.id;
    const author = isMine ? "You" : this.fullName(message.sender.username);
    const foot = el("span", { class: "message-foot" }, timeElement(message.timestamp));
    if (isMine) foot.append(el("span", { class: "receipt", "data-read": message.is_read }, message.is_read ? "Read" : "Sent"));
    else if (!message.is_read) foot.append(this.#readButton(message));
    return el(
      "li",
      { class: "message", testid: "message", "data-id": message.id, "data-mine": isMine, "data-read": message.is_read },
      spoken(`${author}: `),
      el("p", { dir: "auto" }, message.content),
      foot,
    );
  }

  /** @param {Doorbell.Message} message */
  #readButton(message) {
    const onclick = () => this.attempt(() => this.#read(message));
    return el("button", { type: "button", class: "link", testid: "read-message", onclick }, "Mark as read");
  }

  /** @param {Doorbell.Message} message */
  #isNew(message) {
    return message.sender.id === this.#partner?.id && !message.is_read;
  }
}
