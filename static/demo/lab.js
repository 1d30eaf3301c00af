// The fault panel: whose network, which fault, and the log of what follows from it.

import { element } from "../elements/element.js";
import { isolated, part } from "./dom.js";
import { FAULTS } from "./faults.js";
import { formatDuration } from "./format.js";
import { Seat } from "./seat.js";

export class LabView {
  /** @type {Seat | null} */
  #target = null;
  #isBusy = false;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.whose = part(root, "whose");
    this.faults = part(root, "faults");
    this.story = part(root, "story");
    this.outcome = part(root, "outcome");
    this.faults.replaceChildren(...FAULTS.map((fault) => this.#button(fault)));
  }

  /** @param {Seat[]} seats */
  show(seats) {
    const same = seats.find(({ user }) => user.id === this.#target?.user.id);
    this.#target = same ?? seats.at(-1) ?? null;
    this.whose.hidden = seats.length < 2;
    const choices = seats.map((seat) => this.#choice(seat));
    this.whose.replaceChildren(element("legend", { class: "spoken" }, "Whose connection?"), ...choices);
  }

  /** @param {Seat} seat */
  #choice(seat) {
    const input = element("input", { type: "radio", name: "whose", value: seat.user.username, checked: seat === this.#target });
    input.addEventListener("change", () => (this.#target = seat));
    return element("label", { class: "choice" }, input, element("span", {}, isolated(seat.name)));
  }

  /** @param {import("./faults.js").Fault} fault */
  #button(fault) {
    const onclick = () => this.#run(fault);
    return element(
      "li",
      {},
      element("button", { type: "button", class: "fault", testid: `fault-${fault.id}`, onclick }, element("strong", {}, fault.title), element("span", {}, fault.text)),
    );
  }

  /** @param {import("./faults.js").Fault} fault */
  async #run(fault) {
    const seat = this.#target;
    if (!seat || this.#isBusy) return;
    const startedAt = performance.now();
    const log = (/** @type {string} */ text) => this.#log(text, performance.now() - startedAt);
    this.story.replaceChildren();
    const obstacle = findObstacle(seat);
    if (obstacle) return this.#finish("refused", obstacle);
    this.#finish("running", `${fault.title}: under way for ${seat.name}…`);
    this.#setBusy(true);
    const stopLogging = logRecovery(seat, log);
    try {
      await fault.run({ seat, log });
      await this.#showOutcome(seat);
    } catch (error) {
      seat.network.clear();
      this.#finish("refused", `That didn't work: ${/** @type {Error} */ (error).message}`);
    } finally {
      stopLogging();
      this.#setBusy(false);
    }
  }

  /** @param {Seat} seat */
  async #showOutcome(seat) {
    if (seat.client.state === "disconnected") return this.#finish("ended", `${seat.name} is signed out.`);
    await seat.audit.settled();
    const isGreen = seat.audit.verdict === "green";
    const time = formatDuration(seat.audit.recovery);
    this.#finish(isGreen ? "green" : "red", isGreen ? `Recovered after ${time}: nothing lost, nothing twice.` : "A promise is broken!");
  }

  /** @param {boolean} isBusy */
  #setBusy(isBusy) {
    this.#isBusy = isBusy;
    // Not `disabled`, which would lose the focus when the button is pressed.
    for (const button of this.faults.querySelectorAll("button")) button.setAttribute("aria-disabled", String(isBusy));
  }

  /**
   * @param {string} text
   * @param {number} ms
   */
  #log(text, ms) {
    this.story.append(element("li", {}, element("span", { class: "when" }, `${(ms / 1000).toFixed(1)} s`), element("span", {}, text)));
  }

  /**
   * @param {string} outcome
   * @param {string} text
   */
  #finish(outcome, text) {
    this.outcome.dataset.outcome = outcome;
    this.outcome.textContent = text;
  }
}

/** Why this person's network can't be disturbed now; empty if it can. @param {Seat} seat */
function findObstacle({ name, client, isSignedOut }) {
  if (isSignedOut) return `${name} is signed out: sign in again first.`;
  if (client.state === "disconnected") return `${name} has no connection: connect again first.`;
  if (client.role === "follower") return `Another tab of this browser holds ${name}'s connection. Break it there, or close that tab.`;
  return "";
}

/**
 * Logs what the client does to recover, until the returned function is called.
 * @param {Seat} seat
 * @param {(text: string) => void} log
 */
function logRecovery(seat, log) {
  let replayed = 0;
  let { state } = seat.client;
  const follow = (/** @type {Event} */ event) => {
    const change = /** @type {CustomEvent<Doorbell.StateChange>} */ (event).detail;
    // Without a close code it is the client's own decision.
    const isForGaps = change.code === null || change.reason === "repeated gaps";
    if (state === "connected" && change.state === "connecting" && isForGaps) {
      log("Gaps enough for one minute: the client reconnects instead of asking again.");
    }
    state = change.state;
  };
  const listen = (/** @type {Event} */ event) => {
    const { direction, frame } = /** @type {CustomEvent<Demo.TrafficEntry>} */ (event).detail;
    if (!frame) return;
    if (direction === "out" && frame.type === "resume") log(`A gap: “resume since ${frame.since}”.`);
    if (direction !== "in") return;
    if (frame.type === "hello") log("Connected again, continuing from the last revision.");
    if (frame.type === "inbox" && frame.replayed) replayed += frame.added?.length ?? 0;
    if (frame.type === "reset") log(`Too much to replay (${frame.reason}): the list is read again.`);
    if (frame.type === "synced") log(`Synced at revision ${frame.revision}, ${replayed} replayed.`);
  };
  seat.addEventListener("traffic", listen);
  seat.client.addEventListener("state", follow);
  return () => {
    seat.removeEventListener("traffic", listen);
    seat.client.removeEventListener("state", follow);
  };
}
