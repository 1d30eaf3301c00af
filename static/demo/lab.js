// The fault panel: whose line, what to do to it, and the story of what came of it.

import { el, named, part } from "./dom.js";
import { FAULTS } from "./faults.js";
import { Seat } from "./seat.js";
import { describeTime } from "./words.js";

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
    this.whose.replaceChildren(el("legend", { class: "spoken" }, "Whose connection?"), ...choices);
  }

  /** @param {Seat} seat */
  #choice(seat) {
    const input = el("input", { type: "radio", name: "whose", value: seat.user.username, checked: seat === this.#target });
    input.addEventListener("change", () => (this.#target = seat));
    return el("label", { class: "choice" }, input, el("span", {}, named(seat.name)));
  }

  /** @param {import("./faults.js").Fault} fault */
  #button(fault) {
    const onclick = () => this.#run(fault);
    return el(
      "li",
      {},
      el("button", { type: "button", class: "fault", testid: `fault-${fault.id}`, onclick }, el("strong", {}, fault.title), el("span", {}, fault.text)),
    );
  }

  /** @param {import("./faults.js").Fault} fault */
  async #run(fault) {
    const seat = this.#target;
    if (!seat || this.#isBusy) return;
    const began = performance.now();
    const say = (/** @type {string} */ text) => this.#say(text, performance.now() - began);
    this.story.replaceChildren();
    const obstacle = findObstacle(seat);
    if (obstacle) return this.#finish("refused", obstacle);
    this.#finish("running", `${fault.title}: under way for ${seat.name}…`);
    this.#setBusy(true);
    const stop = overhear(seat, say);
    try {
      await fault.run({ seat, say });
      await this.#conclude(seat);
    } catch (error) {
      seat.line.calm();
      this.#finish("refused", `That didn't work: ${/** @type {Error} */ (error).message}`);
    } finally {
      stop();
      this.#setBusy(false);
    }
  }

  /** @param {Seat} seat */
  async #conclude(seat) {
    if (seat.client.state === "disconnected") return this.#finish("ended", `${seat.name} is signed out.`);
    await seat.audit.settled();
    const isWell = seat.audit.verdict === "green";
    const time = describeTime(seat.audit.recovery);
    this.#finish(isWell ? "green" : "red", isWell ? `All well again after ${time}: nothing lost, nothing twice.` : "A promise is broken!");
  }

  /** @param {boolean} isBusy */
  #setBusy(isBusy) {
    this.#isBusy = isBusy;
    // Not `disabled`, which would take the focus away from whoever pressed it.
    for (const button of this.faults.querySelectorAll("button")) button.setAttribute("aria-disabled", String(isBusy));
  }

  /**
   * @param {string} text
   * @param {number} ms
   */
  #say(text, ms) {
    this.story.append(el("li", {}, el("span", { class: "when" }, `${(ms / 1000).toFixed(1)} s`), el("span", {}, text)));
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

/** Why this person's line can't be broken here and now; empty if it can. @param {Seat} seat */
function findObstacle({ name, client, isSignedOut }) {
  if (isSignedOut) return `${name} is signed out: sign in again first.`;
  if (client.state === "disconnected") return `${name} has no connection: connect again first.`;
  if (client.role === "follower") return `Another tab of this browser holds ${name}'s line. Break it there, or close that tab.`;
  return "";
}

/**
 * Tell what the client does about it, until the story is over.
 * @param {Seat} seat
 * @param {(text: string) => void} say
 */
function overhear(seat, say) {
  let replayed = 0;
  const listen = (/** @type {Event} */ event) => {
    const { direction, frame } = /** @type {CustomEvent<Demo.Crossing>} */ (event).detail;
    if (!frame) return;
    if (direction === "out" && frame.type === "resume") say(`A gap: “resume since ${frame.since}”.`);
    if (direction !== "in") return;
    if (frame.type === "hello") say("Connected again, going on from the last revision.");
    if (frame.type === "inbox" && frame.replayed) replayed += frame.added?.length ?? 0;
    if (frame.type === "reset") say(`Too much to replay (${frame.reason}): the list is read anew.`);
    if (frame.type === "synced") say(`Synced at revision ${frame.revision}, ${replayed} replayed.`);
  };
  seat.addEventListener("crossing", listen);
  return () => seat.removeEventListener("crossing", listen);
}
