// The console: everything that crosses anybody's line, newest on top, each to be opened and read.

import { el, named, part } from "./dom.js";
import { describeTime } from "./words.js";

const KEPT = 300;
const WAITING = 2_000;

/** @typedef {{who: string, crossing: Demo.Crossing}} Entry */

export class ConsoleView {
  /** @type {Entry[]} */
  #waiting = [];
  #isPaused = false;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.list = part(root, "console");
    this.empty = part(root, "console-empty");
    this.who = /** @type {HTMLSelectElement} */ (part(root, "console-who"));
    this.text = /** @type {HTMLInputElement} */ (part(root, "console-text"));
    this.kinds = /** @type {HTMLInputElement[]} */ ([...root.querySelectorAll("[data-kind]")]);
    this.pause = part(root, "console-pause");
    this.pause.addEventListener("click", () => this.#togglePause());
    part(root, "console-clear").addEventListener("click", () => this.#clear());
    for (const control of [this.who, this.text, ...this.kinds]) control.addEventListener("input", () => this.#filter());
  }

  /** @param {{username: string, name: string}[]} people */
  show(people) {
    const chosen = this.who.value;
    const all = el("option", { value: "" }, people.length > 1 ? "Both people" : "One person");
    this.who.replaceChildren(all, ...people.map(({ username, name }) => el("option", { value: username, dir: "auto" }, name)));
    if (people.some(({ username }) => username === chosen)) this.who.value = chosen;
    this.#filter();
  }

  /**
   * @param {string} who
   * @param {Demo.Crossing} crossing
   */
  hear(who, crossing) {
    if (!this.#isPaused) return this.#add({ who, crossing });
    this.#waiting.push({ who, crossing });
    if (this.#waiting.length > WAITING) this.#waiting.shift();
    this.pause.textContent = `Go on (${this.#waiting.length})`;
  }

  /** @param {Entry} entry */
  #add(entry) {
    const item = line(entry);
    item.hidden = !this.#isWanted(item);
    this.list.prepend(item);
    while (this.list.children.length > KEPT) this.list.lastElementChild?.remove();
    this.empty.hidden = true;
  }

  #togglePause() {
    this.#isPaused = !this.#isPaused;
    this.pause.setAttribute("aria-pressed", String(this.#isPaused));
    this.pause.textContent = this.#isPaused ? "Go on" : "Pause";
    for (const entry of this.#waiting.splice(0)) this.#add(entry);
  }

  #clear() {
    this.list.replaceChildren();
    this.#waiting = [];
    this.empty.hidden = false;
  }

  #filter() {
    for (const item of /** @type {Iterable<HTMLElement>} */ (this.list.children)) item.hidden = !this.#isWanted(item);
  }

  /** @param {HTMLElement} item */
  #isWanted(item) {
    const { who, direction } = item.dataset;
    const isKind = this.kinds.some((kind) => kind.checked && kind.dataset.kind === direction);
    const text = this.text.value.trim().toLowerCase();
    return isKind && (!this.who.value || this.who.value === who) && (!text || (item.textContent ?? "").toLowerCase().includes(text));
  }
}

const DIRECTIONS = { in: "in", out: "out", http: "http" };

/** @param {Entry} entry */
function line({ who, crossing: { direction, frame, text, at, latency, note } }) {
  const time = new Date(at).toLocaleTimeString("en-GB", { hour12: false }) + `.${String(at % 1000).padStart(3, "0")}`;
  const size = `${new TextEncoder().encode(text).length} B`;
  const revision = frame && "revision" in frame ? `rev ${frame.revision}` : "";
  const cells = [
    el("span", { class: "wire-time" }, time),
    el("span", { class: "wire-who", title: who }, named(who)),
    el("span", { class: "wire-direction" }, DIRECTIONS[direction]),
    el("span", { class: "wire-type" }, frame?.type ?? (direction === "http" ? text : "—")),
    el("span", { class: "wire-revision" }, revision),
    el("span", { class: "wire-gist" }, frame ? gist(frame) : direction === "http" ? "" : text),
    note ? el("span", { class: "wire-note", "data-note": note }, note) : "",
    el("span", { class: "wire-latency" }, latency === null ? "" : describeTime(latency)),
    el("span", { class: "wire-size" }, frame ? size : ""),
  ];
  const data = { "data-direction": direction, "data-who": who, "data-type": frame?.type ?? "", testid: "wire" };
  if (!frame) return el("li", data, el("div", { class: "wire-line" }, ...cells));
  const body = el("pre", {}, JSON.stringify(frame, null, 2));
  return el("li", data, el("details", {}, el("summary", { class: "wire-line" }, ...cells), body));
}

/** The one thing about a frame that matters at a glance. @param {Doorbell.Frame | Doorbell.Command} frame */
function gist(frame) {
  switch (frame.type) {
    case "inbox": {
      const parts = /** @type {const} */ (["added", "read", "unread", "removed"])
        .filter((name) => frame[name]?.length)
        .map((name) => `${name} ${frame[name]?.length}`);
      return parts.join(", ") + (frame.replayed ? " · replayed" : "");
    }
    case "hello":
      return `unread ${frame.unread_count}${frame.resumed ? " · resumed" : ""}`;
    case "synced":
    case "heartbeat":
      return `unread ${frame.unread_count}`;
    case "reset":
      return frame.reason;
    case "presence":
      return `${frame.user.username} ${frame.is_online ? "online" : "offline"}`;
    case "presence_state":
      return `${frame.online.length} online`;
    case "resume":
      return `since ${frame.since}`;
    default:
      return "";
  }
}
