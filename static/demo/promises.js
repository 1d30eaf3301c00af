// The invariants panel: for each person what the audit found, and whether it may be so.

import { el, named, part } from "./dom.js";
import { Seat } from "./seat.js";
import { counted, describeTime } from "./words.js";

/** @type {{id: string, title: string, tell: (found: Demo.Findings) => string, isKept: (found: Demo.Findings) => boolean}[]} */
const PROMISES = [
  { id: "lost", title: "Lost on the way", tell: (found) => String(found.lost), isKept: (found) => found.lost === 0 },
  { id: "doubled", title: "Shown twice", tell: (found) => String(found.doubled), isKept: (found) => found.doubled === 0 },
  { id: "disordered", title: "Out of order", tell: (found) => String(found.disordered), isKept: (found) => found.disordered === 0 },
  {
    id: "badge",
    title: "Badge = server",
    tell: ({ badge }) => (badge.shown === badge.server ? `${badge.shown} = ${badge.server}` : `${badge.shown} ≠ ${badge.server}`),
    isKept: ({ badge }) => badge.shown === badge.server,
  },
  {
    id: "state",
    title: "State = fresh read",
    tell: (found) => (found.differing === 0 ? counted(found.rows, "row") : `${found.differing} differ`),
    isKept: (found) => found.differing === 0,
  },
];
const VERDICTS = { green: "kept", red: "broken", checking: "looking…", waiting: "no line" };

export class PromisesView {
  /** @type {Seat[]} */
  #seats = [];
  #render = () => this.render();

  /** @param {HTMLElement} root */
  constructor(root) {
    this.table = part(root, "promises");
    this.summary = part(root, "promises-summary");
  }

  /** @param {Seat[]} seats */
  show(seats) {
    for (const { audit } of this.#seats) audit.removeEventListener("verdict", this.#render);
    this.#seats = seats;
    for (const { audit } of seats) audit.addEventListener("verdict", this.#render);
    this.render();
  }

  render() {
    const head = this.#seats.map((seat) => el("th", { scope: "col", title: seat.name }, named(seat.name.split(" ")[0] ?? "")));
    const rows = PROMISES.map((promise) =>
      el(
        "tr",
        { testid: `promise-${promise.id}` },
        el("th", { scope: "row" }, promise.title),
        ...this.#seats.map(({ audit: { findings } }) => {
          const kept = findings ? promise.isKept(findings) : null;
          return el("td", { "data-kept": kept ?? "unknown" }, findings ? promise.tell(findings) : "…");
        }),
      ),
    );
    rows.push(
      this.#row("Last recovery", ({ audit }) => describeTime(audit.recovery), "recovery"),
      this.#row("Verdict", ({ audit }) => VERDICTS[audit.verdict], "verdict"),
    );
    this.table.replaceChildren(
      el("caption", { class: "spoken" }, "What the page holds, against a fresh read of the server"),
      el("thead", {}, el("tr", {}, el("td", {}), ...head)),
      el("tbody", {}, ...rows),
    );
    const looks = this.#seats.reduce((sum, { audit }) => sum + audit.looks, 0);
    const isWell = this.#seats.every(({ audit }) => audit.verdict === "green");
    this.summary.dataset.verdict = isWell ? "green" : this.#seats.some(({ audit }) => audit.verdict === "red") ? "red" : "checking";
    this.summary.textContent = `${counted(looks, "look")} at the server so far`;
  }

  /**
   * @param {string} title
   * @param {(seat: Seat) => string} tell
   * @param {string} id
   */
  #row(title, tell, id) {
    const cells = this.#seats.map((seat) =>
      el("td", { class: id, testid: `${id}-${seat.user.username}`, "data-verdict": seat.audit.verdict }, tell(seat)),
    );
    return el("tr", {}, el("th", { scope: "row" }, title), ...cells);
  }
}
