// Checks the promises while one watches: what the page holds against a fresh read of the server, by a way of its own that
// no fault touches. Events: `verdict` (this object has changed).

import { DoorbellClient } from "../client/client.js";
import { Http } from "../client/http.js";

const QUIET_MS = 250; // look when nothing has changed for this long
const AGAIN_MS = 400;
const SURE_AFTER = 4; // so often something must look wrong before it is called wrong: a row may be newer than its revision
const PAGE = 200;

export class Audit extends EventTarget {
  /** @type {Demo.Verdict} */
  verdict = "checking";
  /** @type {Demo.Findings | null} */
  findings = null;
  /** How long the last recovery took, in milliseconds. @type {number | null} */
  recovery = null;
  /** How many looks have been taken. */
  looks = 0;

  #doubled = 0;
  #disordered = 0;
  /** @type {Set<number>} */
  #toasted = new Set();
  #epoch = "";
  #revision = 0;
  /** When the present trouble ended, and the line could be used again. @type {number | null} */
  #troubleAt = null;
  #lastChange = performance.now();
  #suspicions = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isLooking = false;
  #isOver = false;

  /**
   * @param {DoorbellClient} client
   * @param {Http} http
   * @param {() => number} badge the number that is shown
   */
  constructor(client, http, badge) {
    super();
    this.client = client;
    this.http = http;
    this.badge = badge;
    client.addEventListener("change", () => this.#changed());
    client.addEventListener("synced", () => this.#changed());
    client.addEventListener("toast", (event) => this.#toast(/** @type {CustomEvent} */ (event).detail.id));
    client.addEventListener("state", () => this.#moved());
  }

  /** Trouble is over from here on: how long until all is well? */
  mark() {
    this.#troubleAt = this.#lastChange = performance.now();
    this.#set("checking");
    this.#suspicions = 0;
    this.#soon(QUIET_MS);
  }

  close() {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #moved() {
    const { state } = this.client;
    if (state === "connected") return this.#changed();
    // The first connecting is no trouble: nothing has been broken yet.
    if (this.looks > 0) this.#troubleAt ??= performance.now();
    this.#set("waiting");
  }

  #changed() {
    const { epoch, revision } = this.client.inbox;
    if (epoch === this.#epoch && revision < this.#revision) this.#disordered += 1;
    this.#epoch = epoch ?? "";
    this.#revision = revision;
    this.#lastChange = performance.now();
    if (this.client.state !== "connected") return;
    this.#set("checking");
    this.#soon(QUIET_MS);
  }

  /** @param {number} id */
  #toast(id) {
    if (this.#toasted.has(id)) this.#doubled += 1;
    this.#toasted.add(id);
  }

  /** @param {number} ms */
  #soon(ms) {
    clearTimeout(this.#timer);
    if (!this.#isOver) this.#timer = setTimeout(() => this.#look(), ms);
  }

  async #look() {
    if (this.#isLooking || this.client.state !== "connected") return;
    this.#isLooking = true;
    const began = this.#lastChange;
    try {
      const page = await this.http.get("notifications", { limit: PAGE });
      this.looks += 1;
      if (began === this.#lastChange && this.client.state === "connected" && !this.#isOver) this.#judge(page);
    } catch {
      this.#soon(AGAIN_MS * 4); // the server is away: the client is busy with that, and tells when it is back
    } finally {
      this.#isLooking = false;
      if (began !== this.#lastChange) this.#soon(QUIET_MS);
    }
  }

  /** @param {Doorbell.InboxPage} page */
  #judge(page) {
    if (page.revision !== this.client.inbox.revision) return this.#soon(AGAIN_MS); // the frame is on its way
    const found = compare(this.client.inbox.items, this.client.inbox.next, page);
    const badge = { shown: this.badge(), server: page.unread_count };
    const doubled = this.#doubled + found.doubled;
    const disordered = this.#disordered + found.disordered;
    this.findings = { ...found, doubled, disordered, badge, revision: page.revision };
    const isWell = !found.lost && !found.differing && !doubled && !disordered && badge.shown === badge.server;
    if (!isWell && ++this.#suspicions < SURE_AFTER) return this.#soon(AGAIN_MS);
    this.#suspicions = 0;
    if (isWell && this.#troubleAt !== null) {
      this.recovery = Math.max(0, this.#lastChange - this.#troubleAt);
      this.#troubleAt = null;
    }
    this.#set(isWell ? "green" : "red");
  }

  /** @param {Demo.Verdict} verdict */
  #set(verdict) {
    this.verdict = verdict;
    this.dispatchEvent(new Event("verdict"));
  }

  /** Resolves with the findings once the verdict is green or red. */
  settled() {
    return new Promise((resolve) => {
      const look = () => {
        if (this.verdict !== "green" && this.verdict !== "red") return;
        this.removeEventListener("verdict", look);
        resolve(this.findings);
      };
      this.addEventListener("verdict", look);
      look();
    });
  }
}

/**
 * What a state of the client lacks, or has too much of, against a fresh read of the same revision.
 * @param {Doorbell.Notification[]} items
 * @param {number | null} next where the client's window ends; null if it reaches to the end
 * @param {Doorbell.InboxPage} page
 */
export function compare(items, next, page) {
  const held = new Map(items.map((row) => [row.id, row]));
  const fresh = new Map(page.items.map((row) => [row.id, row]));
  // Only what both of them reach down to can be compared.
  const floor = Math.max(next ?? 0, page.next ?? 0);
  const expected = page.items.filter((row) => row.id >= floor);
  const compared = items.filter((row) => row.id >= floor);
  return {
    lost: expected.filter((row) => !held.has(row.id)).length,
    doubled: items.length - held.size,
    disordered: items.filter((row, index) => index > 0 && row.id > (items[index - 1]?.id ?? 0)).length,
    differing:
      compared.filter((row) => !fresh.has(row.id)).length +
      expected.filter((row) => held.has(row.id) && !isSame(held.get(row.id), row)).length,
    rows: expected.length,
  };
}

/**
 * @param {any} one
 * @param {any} other
 */
function isSame(one, other) {
  return JSON.stringify(one, Object.keys(other).sort()) === JSON.stringify(other, Object.keys(other).sort());
}
