// The window's one or two seats: the person who signed in, perhaps a second one beside them, and the panels about both.

import "../bell/define.js";
import "../toast/define.js";

import { Http } from "../client/http.js";
import { element } from "../elements/element.js";
import { DoorbellToasts } from "../toast/toast.js";
import { ConsoleView } from "./console.js";
import { avatar, isolated, part } from "./dom.js";
import { LabView } from "./lab.js";
import { Language } from "./language.js";
import { PromisesView } from "./promises.js";
import { Seat } from "./seat.js";

const BESIDE_KEY = "doorbell.beside"; // username of the second person, kept over a reload; their token isn't kept
const BRIEF_KEY = "doorbell.brief-read";

export { Language };

export class Stage extends EventTarget {
  /** @type {Seat[]} */
  #seats = [];
  #closing = new AbortController();

  /**
   * Event `leave` (detail: the reason): the person who signed in has signed out.
   * @param {HTMLElement} root
   * @param {object} options
   * @param {Http} options.http the window's own login
   * @param {Demo.Person[]} options.people
   * @param {Language} options.language of the person who has signed in
   */
  constructor(root, { http, people, language }) {
    super();
    this.root = root;
    this.http = http;
    this.people = people;
    this.language = language;
    this.floor = part(root, "seats");
    this.lab = new LabView(root);
    this.promises = new PromisesView(root);
    this.console = new ConsoleView(root);
    part(root, "brief").hidden = sessionStorage.getItem(BRIEF_KEY) !== null;
    part(root, "brief-close").addEventListener("click", () => {
      sessionStorage.setItem(BRIEF_KEY, "1");
      part(root, "brief").hidden = true;
      this.focus();
    });
    // Nothing keeps the second person's token, so nothing could use it after this page.
    window.addEventListener("pagehide", ({ persisted }) => persisted || this.#revokeTokens(), { signal: this.#closing.signal });
  }

  #revokeTokens() {
    for (const { token } of this.#seats) {
      if (token) fetch("/demo/sign-out", { method: "POST", keepalive: true, headers: { Authorization: `Bearer ${token}` } }).catch(() => {});
    }
  }

  /** For a button that disappears when it is pressed. */
  focus() {
    this.#seats[0]?.focus();
  }

  /**
   * @param {Doorbell.User} user the signed-in user
   * @param {string | null} [beside] username of the second person
   * @param {boolean} [isWriting] whether the signed-in user gets the focus, in the field of the conversation with the second
   */
  async open(user, beside = sessionStorage.getItem(BESIDE_KEY), isWriting = false) {
    const first = this.#addSeat(user, this.language);
    if (beside && beside !== user.username) await this.#addSecond(beside, isWriting ? first : null);
  }

  close() {
    this.#closing.abort();
    for (const seat of this.#seats.splice(0)) seat.close();
    this.root.remove();
    Object.assign(document.documentElement, { lang: "en", dir: "ltr" });
  }

  /**
   * @param {string} username
   * @param {Seat | null} writer who gets the focus; null: the added person, if it would be lost
   */
  async #addSecond(username, writer = null) {
    try {
      const { user, token, language } = await this.http.post("/demo/sign-in", { username, token: true });
      const spoken = await Language.of(language);
      sessionStorage.setItem(BESIDE_KEY, username);
      const hadFocus = part(this.root, "beside").contains(document.activeElement);
      const added = this.#addSeat(user, spoken, token);
      this.#openEachOther(writer ?? (hadFocus ? added : null));
    } catch (error) {
      this.#showError(`The second person could not be signed in: ${/** @type {Error} */ (error).message}`);
    }
  }

  /** Two people side by side: each has the conversation with the other open. @param {Seat | null} focused whose field gets the focus */
  #openEachOther(focused) {
    const [first, second] = this.#seats;
    if (!first || !second) return;
    first.people.choose(second.user, { focus: first === focused });
    second.people.choose(first.user, { focus: second === focused });
  }

  /**
   * The first seat is for the window's own login, the second for a login by token.
   * @param {Doorbell.User} user
   * @param {Language} language
   * @param {string} [token]
   */
  #addSeat(user, language, token) {
    const template = /** @type {HTMLTemplateElement} */ (part(document, "seat-template"));
    const root = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    const toasts = new DoorbellToasts();
    const seat = new Seat(root, {
      user,
      token,
      fullName: (username) => this.#fullName(username),
      language,
      toasts,
      isAlone: () => this.#seats.length < 2,
    });
    const place = element("div", { class: "place" }, root, element("div", { class: "toast-dock" }, toasts));
    this.#showAwayFrom(place, toasts);
    toasts.dataset.for = seat.name;
    // The window is in the language of its own login; the second person's place is in theirs.
    const places = token ? [place] : [place, document.documentElement];
    const speak = () => places.forEach((node) => Object.assign(node, { lang: language.code, dir: language.direction }));
    language.addEventListener("change", speak);
    speak();
    if (token) {
      this.floor.append(place);
      this.#seats.push(seat);
    } else {
      this.floor.prepend(place);
      this.#seats.unshift(seat);
    }
    part(root, "again").addEventListener("click", () => this.#signInAgain(seat));
    seat.addEventListener("leave", () => this.#leave(seat));
    seat.addEventListener("traffic", (event) => this.console.log(seat.user.username, /** @type {CustomEvent} */ (event).detail));
    this.#render();
    seat.open();
    return seat;
  }

  /**
   * Toasts lie at the bottom of the seat that they are for, or of the window while that seat isn't in it.
   * @param {HTMLElement} place
   * @param {DoorbellToasts} toasts
   */
  #showAwayFrom(place, toasts) {
    const observer = new IntersectionObserver(([entry]) => toasts.toggleAttribute("data-away", !entry?.isIntersecting), { rootMargin: "-25% 0px" });
    observer.observe(place);
    this.#closing.signal.addEventListener("abort", () => observer.disconnect());
  }

  /** @param {Seat} seat */
  #remove(seat) {
    this.#seats = this.#seats.filter((other) => other !== seat);
    const hadFocus = seat.root.contains(document.activeElement);
    seat.close();
    this.#render();
    if (hadFocus) this.focus();
  }

  /** @param {Seat} seat */
  async #leave(seat) {
    if (seat.token) {
      sessionStorage.removeItem(BESIDE_KEY);
      this.#remove(seat);
      await seat.http.post("/demo/sign-out", {}).catch(() => {}); // if this fails the token stays valid, but it isn't stored anywhere any more
      return;
    }
    seat.client.stop();
    try {
      await this.http.delete("session");
    } catch (error) {
      return this.#showError(`Signing out did not work: ${/** @type {Error} */ (error).message}`);
    }
    this.dispatchEvent(new CustomEvent("leave", { detail: "" }));
  }

  /** Replaces a seat whose login has ended by a new one of the same person. @param {Seat} seat */
  async #signInAgain(seat) {
    const { username } = seat.user;
    try {
      const { user, token, language } = await this.http.post("/demo/sign-in", seat.token ? { username, token: true } : { username });
      const spoken = await Language.of(language);
      this.#remove(seat);
      const renewed = this.#addSeat(user, spoken, token);
      const other = this.#seats.find((candidate) => candidate !== renewed);
      if (other) renewed.people.choose(other.user);
      else renewed.focus();
    } catch (error) {
      this.#showError(`Signing in did not work: ${/** @type {Error} */ (error).message}`);
    }
  }

  #render() {
    const seats = this.#seats;
    this.root.dataset.seats = String(seats.length);
    this.lab.show(seats);
    this.promises.show(seats);
    this.console.show(seats.map(({ user, name }) => ({ username: user.username, name })));
    seats.forEach((seat, index) => seat.linkTo(seats[index + 1]));
    const strip = part(this.root, "beside");
    const hadFocus = strip.contains(document.activeElement);
    strip.hidden = seats.length !== 1;
    const taken = seats[0]?.user.username;
    part(strip, "beside-people").replaceChildren(
      ...this.people.filter(({ username }) => username !== taken).map((person) => this.#invitation(person)),
    );
    if (hadFocus) seats.at(-1)?.focus();
  }

  /** @param {Demo.Person} person */
  #invitation({ username }) {
    const name = this.#fullName(username);
    const onclick = () => this.#addSecond(username);
    return element("li", {}, element("button", { type: "button", class: "quiet guest", testid: `beside-${username}`, onclick }, avatar(username, name), isolated(name)));
  }

  /** @param {string} text */
  #showError(text) {
    this.#seats[0]?.toasts.show({ id: "stage", title: text, level: "error" });
  }

  /** @param {string} username */
  #fullName(username) {
    return this.people.find((person) => person.username === username)?.full_name || username;
  }
}
