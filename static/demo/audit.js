// Checks the promises continuously: compares the client's state with a fresh read of the server, over a connection of its own
// that no fault affects. Events: `verdict` (verdict or findings have changed).

import { DoorbellClient } from "../client/client.js";
import { Http } from "../client/http.js";

const QUIET_MS = 250; // check when nothing has changed for this long
const RETRY_MS = 400;
const CONFIRMATIONS = 4; // a violation must be found this often in a row: a row read over HTTP may be newer than its revision
const ROWS_PER_PAGE = 200;

export class Audit extends EventTarget {
  /** @type {Demo.Verdict} */
  verdict = "checking";
  /** @type {Demo.Findings | null} */
  findings = null;
  /** How long the last recovery took, in milliseconds. @type {number | null} */
  recovery = null;
  /** How many checks have been made. */
  checks = 0;

  #doubled = 0;
  #disordered = 0;
  /** @type {Set<number>} */
  #toasted = new Set();
  #epoch = "";
  #revision = 0;
  /** When the present fault ended, and the connection could be used again. @type {number | null} */
  #faultEndedAt = null;
  #lastChangedAt = performance.now();
  #violationsInARow = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isChecking = false;
  #isClosed = false;

  /**
   * @param {DoorbellClient} client
   * @param {Http} http
   * @param {() => number} badge the number that the page shows
   */
  constructor(client, http, badge) {
    super();
    this.client = client;
    this.http = http;
    this.badge = badge;
    client.addEventListener("change", () => this.#handleChange());
    client.addEventListener("synced", () => this.#handleChange());
    client.addEventListener("toast", (event) => this.#recordToast(/** @type {CustomEvent} */ (event).detail.id));
    client.addEventListener("state", () => this.#handleState());
  }

  /** The fault has ended now: starts measuring the time to recovery. */
  markFaultEnd() {
    this.#faultEndedAt = this.#lastChangedAt = performance.now();
    this.#set("checking");
    this.#violationsInARow = 0;
    this.#schedule(QUIET_MS);
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #handleState() {
    const { state } = this.client;
    if (state === "connected") return this.#handleChange();
    // The first connection isn't a recovery: nothing has been broken yet.
    if (this.checks > 0) this.#faultEndedAt ??= performance.now();
    this.#set("waiting");
  }

  #handleChange() {
    const { epoch, revision } = this.client.inbox;
    if (epoch === this.#epoch && revision < this.#revision) this.#disordered += 1;
    this.#epoch = epoch ?? "";
    this.#revision = revision;
    this.#lastChangedAt = performance.now();
    if (this.client.state !== "connected") return;
    this.#set("checking");
    this.#schedule(QUIET_MS);
  }

  /** @param {number} id */
  #recordToast(id) {
    if (this.#toasted.has(id)) this.#doubled += 1;
    this.#toasted.add(id);
  }

  /** @param {number} ms */
  #schedule(ms) {
    clearTimeout(this.#timer);
    if (!this.#isClosed) this.#timer = setTimeout(() => this.#check(), ms);
  }

  async #check() {
    if (this.#isChecking || this.client.state !== "connected") return;
    this.#isChecking = true;
    const began = this.#lastChangedAt;
    try {
      const page = await this.http.get("notifications", { limit: ROWS_PER_PAGE });
      this.checks += 1;
      if (began === this.#lastChangedAt && this.client.state === "connected" && !this.#isClosed) this.#judge(page);
    } catch {
      this.#schedule(RETRY_MS * 4); // the server is unreachable: the client reconnects, and its events restart the checks
    } finally {
      this.#isChecking = false;
      if (began !== this.#lastChangedAt) this.#schedule(QUIET_MS);
    }
  }

  /** @param {Doorbell.InboxPage} page */
  #judge(page) {
    if (page.revision !== this.client.inbox.revision) return this.#schedule(RETRY_MS); // the frame is still under way
    const found = compare(this.client.inbox.items, this.client.inbox.next, page);
    const badge = { shown: this.badge(), server: page.unread_count };
    const doubled = this.#doubled + found.doubled;
    const disordered = this.#disordered + found.disordered;
    this.findings = { ...found, doubled, disordered, badge, revision: page.revision };
    const isCorrect = !found.lost && !found.differing && !doubled && !disordered && badge.shown === badge.server;
    if (!isCorrect && ++this.#violationsInARow < CONFIRMATIONS) return this.#schedule(RETRY_MS);
    this.#violationsInARow = 0;
    if (isCorrect && this.#faultEndedAt !== null) {
      this.recovery = Math.max(0, this.#lastChangedAt - this.#faultEndedAt);
      this.#faultEndedAt = null;
    }
    this.#set(isCorrect ? "green" : "red");
  }

  /** @param {Demo.Verdict} verdict */
  #set(verdict) {
    this.verdict = verdict;
    this.dispatchEvent(new Event("verdict"));
  }

  /** Resolves with the findings once the verdict is green or red. */
  settled() {
    return new Promise((resolve) => {
      const listener = () => {
        if (this.verdict !== "green" && this.verdict !== "red") return;
        this.removeEventListener("verdict", listener);
        resolve(this.findings);
      };
      this.addEventListener("verdict", listener);
      listener();
    });
  }
}

/**
 * Compares the client's state with a fresh read of the same revision.
 * @param {Doorbell.Notification[]} items
 * @param {number | null} next where the client's loaded window ends; null if it has all rows
 * @param {Doorbell.InboxPage} page
 */
export function compare(items, next, page) {
  const held = new Map(items.map((row) => [row.id, row]));
  const fresh = new Map(page.items.map((row) => [row.id, row]));
  // Only rows within the windows of both can be compared.
  const floor = Math.max(next ?? 0, page.next ?? 0);
  const expected = page.items.filter((row) => row.id >= floor);
  const compared = items.filter((row) => row.id >= floor);
  return {
    lost: expected.filter((row) => !held.has(row.id)).length,
    doubled: items.length - held.size,
    disordered: items.filter((row, index) => index > 0 && row.id > (items[index - 1]?.id ?? 0)).length,
    differing:
      compared.filter((row) => !fresh.has(row.id)).length +
      expected.filter((row) => held.has(row.id) && !isEqual(held.get(row.id), row)).length,
    rows: expected.length,
  };
}

/**
 * @param {any} one
 * @param {any} other
 */
function isEqual(one, other) {
  return JSON.stringify(one, Object.keys(other).sort()) === JSON.stringify(other, Object.keys(other).sort());
}
