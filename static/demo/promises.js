// The invariants panel: what the audit found for each person, and whether it violates a promise.

import { element } from "../elements/element.js";
import { isolated, part } from "./dom.js";
import { formatDuration } from "./format.js";
import { Seat } from "./seat.js";

/** @type {{id: string, title: string, format: (found: Demo.Findings) => string, isKept: (found: Demo.Findings) => boolean}[]} */
const PROMISES = [
  { id: "lost", title: "Lost on the way", format: (found) => String(found.lost), isKept: (found) => found.lost === 0 },
  { id: "doubled", title: "Shown twice", format: (found) => String(found.doubled), isKept: (found) => found.doubled === 0 },
  { id: "disordered", title: "Out of order", format: (found) => String(found.disordered), isKept: (found) => found.disordered === 0 },
  {
    id: "badge",
    title: "Badge = server",
    format: ({ badge }) => (badge.shown === badge.server ? `${badge.shown} = ${badge.server}` : `${badge.shown} ≠ ${badge.server}`),
    isKept: ({ badge }) => badge.shown === badge.server,
  },
  {
    id: "state",
    title: "Newest rows = server",
    format: (found) => (found.differing === 0 ? `${found.rows} equal` : `${found.differing} differ`),
    isKept: (found) => found.differing === 0,
  },
];
const VERDICTS = { green: "kept", red: "broken", checking: "checking…", waiting: "no connection" };

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
    const head = this.#seats.map((seat) => element("th", { scope: "col", title: seat.name }, isolated(seat.name.split(" ")[0] ?? "")));
    const rows = PROMISES.map((promise) =>
      element(
        "tr",
        { testid: `promise-${promise.id}` },
        element("th", { scope: "row" }, promise.title),
        ...this.#seats.map(({ audit: { findings, verdict } }) => {
          const kept = findings ? promise.isKept(findings) : null;
          // Without a connection it is what was found last.
          return element("td", { "data-kept": kept ?? "unknown", "data-verdict": verdict }, findings ? promise.format(findings) : "…");
        }),
      ),
    );
    rows.push(
      this.#row("Last recovery", ({ audit }) => formatDuration(audit.recovery), "recovery"),
      this.#row("Verdict", ({ audit }) => (audit.checks === 0 && audit.verdict === "waiting" ? "connecting…" : VERDICTS[audit.verdict]), "verdict"),
    );
    this.table.replaceChildren(
      element("caption", { class: "spoken" }, "What the page holds, against a fresh read of the server"),
      element("thead", {}, element("tr", {}, element("td", {}), ...head)),
      element("tbody", {}, ...rows),
    );
    const checks = this.#seats.reduce((sum, { audit }) => sum + audit.checks, 0);
    const isGreen = this.#seats.every(({ audit }) => audit.verdict === "green");
    this.summary.dataset.verdict = isGreen ? "green" : this.#seats.some(({ audit }) => audit.verdict === "red") ? "red" : "checking";
    this.summary.textContent = checks === 0 ? "Not checked yet" : `Checked ${checks === 1 ? "once" : `${checks} times`} against the server`;
  }

  /**
   * @param {string} title
   * @param {(seat: Seat) => string} format
   * @param {string} id
   */
  #row(title, format, id) {
    const cells = this.#seats.map((seat) =>
      element("td", { class: id, testid: `${id}-${seat.user.username}`, "data-verdict": seat.audit.verdict }, format(seat)),
    );
    return element("tr", {}, element("th", { scope: "row" }, title), ...cells);
  }
}
