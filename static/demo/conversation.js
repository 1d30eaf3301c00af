// The conversation with one person: messages, receipts and the composer. What one is looking at is read: messages are marked
// while the conversation is attended and scrolled to its end, others by a button or by an answer.

import { DoorbellClient } from "../client/client.js";
import { element } from "../elements/element.js";
import { avatar, isolated, part, screenReaderText } from "./dom.js";
import { Hearts } from "./hearts.js";
import { Language } from "./language.js";

const END_TOLERANCE_PX = 16; // a log scrolled this near to its end counts as at the end

/** @typedef {{partner: Doorbell.User, content: string, after: number}} Sending `after`: the newest message's id when it was sent */

export class ConversationView {
  /** @type {Doorbell.User | null} */
  #partner = null;
  /** Messages with the partner, by id. @type {Map<number, Doorbell.Message>} */
  #messages = new Map();
  /** @type {number | null} */
  #next = null;
  /** Whether the newest messages are there: until then the conversation isn't known to be empty. */
  #isRead = false;
  /** Unsent text, by the partner's id. @type {Map<Doorbell.UserId, string>} */
  #drafts = new Map();
  /** Messages that are on their way to the server. @type {Set<Sending>} */
  #sending = new Set();
  /** Messages that are being marked as read. @type {Set<number>} */
  #marking = new Set();
  #needsRefresh = false;
  #isRefreshing = false;

  /**
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   * @param {object} options
   * @param {(username: string) => string} options.fullName
   * @param {Language} options.language
   * @param {Hearts} options.hearts
   * @param {(action: () => Promise<unknown>) => void} options.attempt
   * @param {() => boolean} options.isAttended whether the user is looking at this part of the window
   */
  constructor(root, client, { fullName, language, hearts, attempt, isAttended }) {
    this.root = part(root, "conversation");
    this.client = client;
    this.fullName = fullName;
    this.language = language;
    this.hearts = hearts;
    this.attempt = attempt;
    this.isAttended = isAttended;
    this.heading = part(root, "conversation-heading");
    this.log = part(root, "log");
    this.empty = part(root, "conversation-empty");
    this.earlier = part(root, "earlier");
    this.form = /** @type {HTMLFormElement} */ (part(root, "composer"));
    this.input = /** @type {HTMLTextAreaElement} */ (part(root, "message-input"));
    this.earlier.addEventListener("click", () => attempt(() => this.#loadEarlier()));
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.input.addEventListener("keydown", (event) => this.#onKey(event));
    client.addEventListener("change", (event) => this.#handleChange(/** @type {CustomEvent} */ (event).detail));
    client.addEventListener("synced", () => attempt(() => this.#refresh()));
    this.log.addEventListener("scroll", () => this.#readIfSeen());
    language.addEventListener("change", () => this.render());
  }

  /** Whether the user is looking at the end of the conversation with this person. @param {Doorbell.User | null} [user] */
  isSeen(user = this.#partner) {
    return this.#partner !== null && user?.id === this.#partner.id && this.isAttended() && this.#isAtEnd() && this.#isInView();
  }

  /** The user has come to look. */
  attend() {
    this.#readIfSeen();
  }

  #readIfSeen() {
    if (this.isSeen()) this.attempt(() => this.#readAll());
  }

  /**
   * @param {Doorbell.User} partner
   * @param {{focus?: boolean}} [options] `focus: false` leaves the focus where it is
   */
  async open(partner, { focus = true } = {}) {
    if (this.#partner) this.#drafts.set(this.#partner.id, this.input.value);
    this.#partner = partner;
    this.input.value = this.#drafts.get(partner.id) ?? "";
    this.#messages.clear();
    this.#next = null;
    this.#isRead = false;
    this.form.hidden = false;
    this.root.dataset.open = "true";
    this.render();
    if (focus) this.input.focus({ preventScroll: true });
    await this.#readLatest();
    if (this.#partner !== partner) return;
    this.#scrollToEnd();
    if (focus || this.isSeen()) await this.#readAll();
  }

  /** Refreshes if a changed notification is about this conversation. @param {Doorbell.InboxChange} change */
  #handleChange(change) {
    const read = change.read.map((id) => this.client.inbox.get(id));
    const isAffected = [...change.added, ...read].some((row) => row?.actor && row.actor.id === this.#partner?.id);
    if (isAffected) this.attempt(() => this.#refresh());
  }

  /** One request at a time; changes during it cause one more afterwards, so that a flood of changes causes no flood of requests. */
  async #refresh() {
    this.#needsRefresh = true;
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    try {
      while (this.#needsRefresh) {
        this.#needsRefresh = false;
        await this.#readLatest();
      }
    } finally {
      this.#isRefreshing = false;
    }
  }

  async #readLatest() {
    const partner = this.#partner;
    if (!partner) return;
    const page = await this.client.messages(partner.username, { limit: 30 });
    if (partner !== this.#partner) return;
    if (this.#messages.size === 0) this.#next = page.next;
    this.#isRead = true;
    const wasAtEnd = this.#isAtEnd();
    this.#add(page.items);
    if (wasAtEnd) this.#scrollToEnd(); // a user who reads earlier messages keeps their position
    this.#readIfSeen();
  }

  async #loadEarlier() {
    const partner = this.#partner;
    if (!partner || this.#next === null) return;
    const page = await this.client.messages(partner.username, { before: this.#next, limit: 30 });
    if (partner !== this.#partner) return;
    this.#next = page.next;
    const { scrollTop, scrollHeight } = this.log;
    // The button disappears with the last page; a focus on it would be lost.
    if (page.next === null && document.activeElement === this.earlier) this.log.focus({ preventScroll: true });
    this.#add(page.items);
    this.log.scrollTop = scrollTop + this.log.scrollHeight - scrollHeight;
  }

  #isAtEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < END_TOLERANCE_PX;
  }

  /** Whether the log's end is in the window. */
  #isInView() {
    const { bottom } = this.log.getBoundingClientRect();
    return bottom > 0 && bottom <= window.innerHeight + END_TOLERANCE_PX;
  }

  #scrollToEnd() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  /** @param {Doorbell.Message[]} messages */
  #add(messages) {
    for (const message of messages) this.#messages.set(message.id, message);
    this.render();
  }

  async #readAll() {
    for (const message of this.#messages.values()) if (this.#isNew(message)) await this.#read(message);
  }

  /** @param {Doorbell.Message} message */
  async #read(message) {
    if (this.#marking.has(message.id)) return;
    this.#marking.add(message.id);
    try {
      await this.client.markMessageRead(message.id);
      if (this.#messages.has(message.id)) this.#add([{ ...message, is_read: true }]);
    } finally {
      this.#marking.delete(message.id);
    }
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    const content = this.input.value.trim();
    const partner = this.#partner;
    if (!content || !partner) return;
    this.input.value = "";
    const sending = { partner, content, after: Math.max(0, ...this.#messages.keys()) };
    this.#sending.add(sending);
    this.render();
    this.#scrollToEnd();
    this.attempt(async () => {
      try {
        const message = await this.client.sendMessage(partner.username, content);
        this.#sending.delete(sending);
        if (partner !== this.#partner) return;
        this.#add([message]);
        this.#scrollToEnd();
        await this.#readAll(); // an answer marks the conversation as read
      } catch (error) {
        if (this.#sending.delete(sending)) this.#restore(partner, content);
        this.render();
        throw error;
      }
    });
  }

  /**
   * Puts unsent text back, unless the user has typed something else since.
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
    this.input.placeholder = this.language.t("writeMessage");
    this.heading.replaceChildren(avatar(partner.username, name), isolated(name));
    const messages = [...this.#messages.values()].sort((a, b) => a.id - b.id);
    const focused = /** @type {HTMLElement | null} */ (this.log.contains(document.activeElement) ? document.activeElement : null);
    const focusedId = focused?.closest(".message")?.getAttribute("data-id");
    const sending = [...this.#sending].filter((one) => one.partner.id === partner.id && !this.#isStored(one));
    this.log.replaceChildren(...messages.map((message) => this.#item(message)), ...sending.map((one) => this.#sendingItem(one)));
    if (focused && focusedId) this.#restoreFocus(Number(focusedId), focused.dataset.testid);
    this.earlier.hidden = this.#next === null;
    this.empty.hidden = messages.length + sending.length > 0;
    if (this.#isRead) this.empty.replaceChildren(...this.language.nodes("noMessages", { name: isolated(name) }));
    else this.empty.textContent = this.language.t("reading");
  }

  /** Whether the list has it already, before the answer to the call has come. @param {Sending} sending */
  #isStored({ partner, content, after }) {
    return [...this.#messages.values()].some((message) => message.id > after && message.receiver.id === partner.id && message.content === content);
  }

  /**
   * Rendering replaced the button that had the focus: focuses its successor, else the next one of its kind, else the log.
   * @param {number} id
   * @param {string} [testid]
   */
  #restoreFocus(id, testid) {
    const buttons = /** @type {HTMLElement[]} */ ([...this.log.querySelectorAll(`.message [data-testid="${testid}"]`)]);
    const next = buttons.find((button) => Number(button.closest(".message")?.getAttribute("data-id")) >= id);
    (next ?? this.log).focus({ preventScroll: true });
  }

  /** @param {Doorbell.Message} message */
  #item(message) {
    const isMine = message.sender.id !== this.#partner?.id;
    const { t } = this.language;
    const foot = element("span", { class: "message-foot" }, this.language.time(message.timestamp));
    if (isMine) foot.append(element("span", { class: "receipt", "data-read": message.is_read }, t(message.is_read ? "read" : "sent")));
    else if (!message.is_read) foot.append(this.#readButton(message));
    return element(
      "li",
      { class: "message", testid: "message", "data-id": message.id, "data-mine": isMine, "data-read": message.is_read },
      this.#author(isMine ? t("you") : this.fullName(message.sender.username)),
      element("p", { dir: "auto" }, message.content),
      foot,
      isMine ? null : this.hearts.offer(message),
    );
  }

  /** @param {Doorbell.Message} message */
  #readButton(message) {
    const onclick = () => this.attempt(() => this.#read(message));
    return element("button", { type: "button", class: "link", testid: "read-message", onclick }, this.language.t("markRead"));
  }

  /** @param {Sending} sending */
  #sendingItem({ content }) {
    const { t } = this.language;
    const foot = element("span", { class: "message-foot" }, t("sending"));
    return element("li", { class: "message", testid: "sending", "data-mine": true }, this.#author(t("you")), element("p", { dir: "auto" }, content), foot);
  }

  /** @param {string} name */
  #author(name) {
    return screenReaderText(this.language.t("author", { name }));
  }

  /** @param {Doorbell.Message} message */
  #isNew(message) {
    return message.sender.id === this.#partner?.id && !message.is_read;
  }
}
