// The console: all frames and requests of each person, newest first; each can be expanded.

import { element } from "../elements/element.js";
import { isolated, part } from "./dom.js";
import { formatDuration } from "./format.js";

const MAX_ENTRIES = 300;
const MAX_PAUSED_ENTRIES = 2_000;

/** @typedef {{username: string, entry: Demo.TrafficEntry}} ConsoleEntry */

export class ConsoleView {
  /** @type {ConsoleEntry[]} */
  #pausedEntries = [];
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
    const all = element("option", { value: "" }, people.length > 1 ? "Both people" : "One person");
    this.who.replaceChildren(all, ...people.map(({ username, name }) => element("option", { value: username, dir: "auto" }, name)));
    if (people.some(({ username }) => username === chosen)) this.who.value = chosen;
    this.#filter();
  }

  /**
   * @param {string} username
   * @param {Demo.TrafficEntry} entry
   */
  log(username, entry) {
    if (!this.#isPaused) return this.#add({ username, entry });
    this.#pausedEntries.push({ username, entry });
    if (this.#pausedEntries.length > MAX_PAUSED_ENTRIES) this.#pausedEntries.shift();
    this.pause.textContent = `Resume (${this.#pausedEntries.length})`;
  }

  /** @param {ConsoleEntry} entry */
  #add(entry) {
    const item = createItem(entry);
    item.hidden = !this.#matchesFilter(item);
    this.list.prepend(item);
    while (this.list.children.length > MAX_ENTRIES) this.list.lastElementChild?.remove();
    this.empty.hidden = true;
  }

  #togglePause() {
    this.#isPaused = !this.#isPaused;
    this.pause.setAttribute("aria-pressed", String(this.#isPaused));
    this.pause.textContent = this.#isPaused ? "Resume" : "Pause";
    for (const entry of this.#pausedEntries.splice(0)) this.#add(entry);
  }

  #clear() {
    this.list.replaceChildren();
    this.#pausedEntries = [];
    this.empty.hidden = false;
  }

  #filter() {
    for (const item of /** @type {Iterable<HTMLElement>} */ (this.list.children)) item.hidden = !this.#matchesFilter(item);
  }

  /** @param {HTMLElement} item */
  #matchesFilter(item) {
    const { who, direction } = item.dataset;
    const isKind = this.kinds.some((kind) => kind.checked && kind.dataset.kind === direction);
    const text = this.text.value.trim().toLowerCase();
    return isKind && (!this.who.value || this.who.value === who) && (!text || (item.textContent ?? "").toLowerCase().includes(text));
  }
}

const DIRECTIONS = { in: "in", out: "out", http: "http" };

/** @param {ConsoleEntry} entry */
function createItem({ username, entry: { direction, frame, text, at, latency, note } }) {
  const time = new Date(at).toLocaleTimeString("en-GB", { hour12: false }) + `.${String(at % 1000).padStart(3, "0")}`;
  const size = `${new TextEncoder().encode(text).length} B`;
  const revision = frame && "revision" in frame ? `rev ${frame.revision}` : "";
  const cells = [
    element("span", { class: "wire-time" }, time),
    element("span", { class: "wire-who", title: username }, isolated(username)),
    element("span", { class: "wire-direction" }, DIRECTIONS[direction]),
    element("span", { class: "wire-type" }, frame?.type ?? (direction === "http" ? text : "—")),
    element("span", { class: "wire-revision" }, revision),
    element("span", { class: "wire-gist" }, frame ? summarize(frame) : direction === "http" ? "" : text),
    note ? element("span", { class: "wire-note", "data-note": note }, note) : "",
    element("span", { class: "wire-latency" }, latency === null ? "" : formatDuration(latency)),
    element("span", { class: "wire-size" }, frame ? size : ""),
  ];
  const data = { "data-direction": direction, "data-who": username, "data-type": frame?.type ?? "", testid: "wire" };
  if (!frame) return element("li", data, element("div", { class: "wire-line" }, ...cells));
  const body = element("pre", {}, JSON.stringify(frame, null, 2));
  return element("li", data, element("details", {}, element("summary", { class: "wire-line" }, ...cells), body));
}

/** A one-line summary of a frame. @param {Doorbell.Frame | Doorbell.Command} frame */
function summarize(frame) {
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
