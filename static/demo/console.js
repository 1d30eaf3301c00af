// The console: every frame as it crosses the wire, newest on top, each to be opened and read.

import { DoorbellClient } from "../client/client.js";
import { el, part } from "./dom.js";

const KEPT = 200;

export class ConsoleView {
  /** @type {Doorbell.Crossing[]} */
  #waiting = [];
  #isPaused = false;

  /**
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   */
  constructor(root, client) {
    this.list = part(root, "console");
    this.empty = part(root, "console-empty");
    this.pause = part(root, "console-pause");
    this.pause.addEventListener("click", () => this.#togglePause());
    part(root, "console-clear").addEventListener("click", () => this.#clear());
    client.addEventListener("frame", (event) => this.#hear(/** @type {CustomEvent} */ (event).detail));
  }

  /** @param {Doorbell.Crossing} crossing */
  #hear(crossing) {
    if (this.#isPaused) return void this.#waiting.push(crossing);
    this.list.prepend(line(crossing));
    while (this.list.children.length > KEPT) this.list.lastElementChild?.remove();
    this.empty.hidden = true;
  }

  #togglePause() {
    this.#isPaused = !this.#isPaused;
    this.pause.setAttribute("aria-pressed", String(this.#isPaused));
    this.pause.textContent = this.#isPaused ? "Go on" : "Pause";
    for (const crossing of this.#waiting.splice(0)) this.#hear(crossing);
  }

  #clear() {
    this.list.replaceChildren();
    this.#waiting = [];
    this.empty.hidden = false;
  }
}

/** @param {Doorbell.Crossing} crossing */
function line({ direction, frame, text, at }) {
  const time = new Date(at).toLocaleTimeString("en-GB", { hour12: false }) + `.${String(at % 1000).padStart(3, "0")}`;
  const summary = el(
    "summary",
    {},
    el("span", { class: "wire-time" }, time),
    el("span", { class: "wire-direction" }, direction === "in" ? "in" : "out"),
    el("span", { class: "wire-type" }, frame?.type ?? "not a frame"),
    el("span", { class: "wire-gist" }, gist(frame)),
    el("span", { class: "wire-size" }, `${new TextEncoder().encode(text).length} B`),
  );
  const body = el("pre", {}, frame ? JSON.stringify(frame, null, 2) : text);
  return el("li", { "data-direction": direction }, el("details", {}, summary, body));
}

/** The one thing about a frame that matters at a glance. @param {Doorbell.Frame | Doorbell.Command | null} frame */
function gist(frame) {
  switch (frame?.type) {
    case "inbox": {
      const parts = /** @type {const} */ (["added", "read", "unread", "removed"])
        .filter((name) => frame[name]?.length)
        .map((name) => `${name} ${frame[name]?.length}`);
      return `rev ${frame.revision} · ${parts.join(", ")}${frame.replayed ? " · replayed" : ""}`;
    }
    case "hello":
    case "synced":
    case "heartbeat":
      return `rev ${frame.revision} · unread ${frame.unread_count}`;
    case "reset":
      return `rev ${frame.revision} · ${frame.reason}`;
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
