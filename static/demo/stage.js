// Who sits at this window: the one who signed in, perhaps a second person beside, and what watches over both.

import { Http } from "../client/http.js";
import { DoorbellToasts } from "../toast/toast.js";
import { ConsoleView } from "./console.js";
import { avatar, el, named, part } from "./dom.js";
import { LabView } from "./lab.js";
import { PromisesView } from "./promises.js";
import { Seat } from "./seat.js";

const BESIDE = "doorbell.beside"; // who sat beside before a reload; their token isn't kept

export class Stage extends EventTarget {
  /** @type {Seat[]} */
  #seats = [];

  /**
   * Event `leave` (detail: why): the one who signed in is gone.
   * @param {HTMLElement} root
   * @param {object} options
   * @param {Http} options.http the window's own login
   * @param {Demo.Person[]} options.people
   */
  constructor(root, { http, people }) {
    super();
    this.root = root;
    this.http = http;
    this.people = people;
    this.floor = part(root, "seats");
    this.dock = part(root, "toast-dock");
    this.lab = new LabView(root);
    this.promises = new PromisesView(root);
    this.console = new ConsoleView(root);
    part(root, "brief-close").addEventListener("click", () => {
      part(root, "brief").hidden = true;
      this.focus();
    });
  }

  /** For whoever has pressed a button that is gone. */
  focus() {
    this.#seats[0]?.focus();
  }

  /**
   * @param {Doorbell.User} user who has signed in
   * @param {string | null} [beside] who is to sit beside them
   */
  async open(user, beside = sessionStorage.getItem(BESIDE)) {
    this.#take(user);
    if (beside && beside !== user.username) await this.#bring(beside);
  }

  close() {
    for (const seat of this.#seats.splice(0)) seat.close();
    this.root.remove();
  }

  /** @param {string} username */
  async #bring(username) {
    try {
      const { user, token } = await this.http.post("/demo/sign-in", { username, token: true });
      sessionStorage.setItem(BESIDE, username);
      this.#take(user, token);
    } catch (error) {
      this.#say(`Nobody could be brought: ${/** @type {Error} */ (error).message}`);
    }
  }

  /**
   * Give a person a seat: the first place is for the window's own login.
   * @param {Doorbell.User} user
   * @param {string} [token]
   */
  #take(user, token) {
    const template = /** @type {HTMLTemplateElement} */ (part(document, "seat-template"));
    const root = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    const toasts = new DoorbellToasts();
    const seat = new Seat(root, { user, token, fullName: (username) => this.#fullName(username), toasts });
    toasts.setAttribute("aria-label", `Toasts for ${seat.name}`);
    toasts.dataset.for = seat.name;
    if (token) {
      this.floor.append(root);
      this.dock.append(toasts);
      this.#seats.push(seat);
    } else {
      this.floor.prepend(root);
      this.dock.prepend(toasts);
      this.#seats.unshift(seat);
    }
    part(root, "again").addEventListener("click", () => this.#again(seat));
    seat.addEventListener("leave", () => this.#leave(seat));
    seat.addEventListener("crossing", (event) => this.console.hear(seat.user.username, /** @type {CustomEvent} */ (event).detail));
    this.#arrange();
    seat.open();
    return seat;
  }

  /** @param {Seat} seat */
  #remove(seat) {
    this.#seats = this.#seats.filter((other) => other !== seat);
    const hadFocus = seat.root.contains(document.activeElement);
    seat.close();
    this.#arrange();
    if (hadFocus) this.focus();
  }

  /** @param {Seat} seat */
  async #leave(seat) {
    if (seat.token) {
      sessionStorage.removeItem(BESIDE);
      this.#remove(seat);
      await seat.http.post("/demo/sign-out", {}).catch(() => {}); // a token nobody holds harms nobody
      return;
    }
    seat.client.stop();
    try {
      await this.http.delete("session");
    } catch (error) {
      return this.#say(`Signing out did not work: ${/** @type {Error} */ (error).message}`);
    }
    this.dispatchEvent(new CustomEvent("leave", { detail: "" }));
  }

  /** The same person once more, after their login has ended. @param {Seat} seat */
  async #again(seat) {
    const { username } = seat.user;
    try {
      const { user, token } = await this.http.post("/demo/sign-in", seat.token ? { username, token: true } : { username });
      this.#remove(seat);
      this.#take(user, token).focus();
    } catch (error) {
      this.#say(`Signing in did not work: ${/** @type {Error} */ (error).message}`);
    }
  }

  #arrange() {
    const seats = this.#seats;
    this.root.dataset.seats = String(seats.length);
    this.lab.show(seats);
    this.promises.show(seats);
    this.console.show(seats.map(({ user, name }) => ({ username: user.username, name })));
    seats.forEach((seat, index) => seat.leadTo(seats[index + 1]));
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
    const onclick = () => this.#bring(username);
    return el("li", {}, el("button", { type: "button", class: "quiet guest", testid: `beside-${username}`, onclick }, avatar(username, name), named(name)));
  }

  /** @param {string} text */
  #say(text) {
    this.#seats[0]?.toasts.show({ id: "stage", title: text, level: "error" });
  }

  /** @param {string} username */
  #fullName(username) {
    return this.people.find((person) => person.username === username)?.full_name || username;
  }
}
