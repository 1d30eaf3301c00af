// Counts the unread messages from each person: those in the inbox's loaded window, and older ones. The older ones are read
// over HTTP after each `synced`; until the next one, `change` events report which of them were read or removed.
// Event: `change` (the older ones have been read again).

import { DoorbellClient } from "../client/client.js";

const QUERY = { unread: true, notification_type: "new_message", limit: 200 };

export class UnreadMessages extends EventTarget {
  /** @type {Map<number, Doorbell.Notification>} */
  #older = new Map();
  /** Ids that were read or removed since the request for the older ones: its answer may be older than that. @type {Set<number>} */
  #gone = new Set();

  /**
   * @param {DoorbellClient} client
   * @param {(action: () => Promise<unknown>) => void} attempt
   */
  constructor(client, attempt) {
    super();
    this.client = client;
    client.addEventListener("synced", () => attempt(() => this.#readOlder()));
    client.addEventListener("change", (event) => this.#handleChange(/** @type {CustomEvent} */ (event).detail));
  }

  /** By the id of the person. @returns {Map<Doorbell.UserId, number>} */
  count() {
    const counts = new Map();
    const { inbox } = this.client;
    const older = [...this.#older.values()].filter(({ id }) => !inbox.get(id));
    for (const row of [...inbox.items, ...older]) {
      // Receipts are about messages, too, and don't count.
      if (row.notification_type !== "new_message" || row.is_read || !row.actor) continue;
      counts.set(row.actor.id, (counts.get(row.actor.id) ?? 0) + 1);
    }
    return counts;
  }

  /** @param {Doorbell.InboxChange} change */
  #handleChange({ read, removed }) {
    for (const id of [...read, ...removed]) {
      this.#older.delete(id);
      this.#gone.add(id);
    }
  }

  async #readOlder() {
    const gone = (this.#gone = new Set());
    const older = new Map();
    for (let before = this.client.inbox.next; before !== null; ) {
      /** @type {Doorbell.InboxPage} */
      const page = await this.client.http.get("notifications", { ...QUERY, before });
      if (gone !== this.#gone) return; // a newer request has replaced this one
      for (const row of page.items) older.set(row.id, row);
      before = page.next;
    }
    for (const id of gone) older.delete(id);
    this.#older = older;
    this.dispatchEvent(new Event("change"));
  }
}
