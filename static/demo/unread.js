// How many unread messages there are from each person: those that the inbox holds, and those that are older than its
// window. The older ones are asked for whenever the client is `synced`; after that the frames tell what is read or removed.
// Event: `change` (the older ones have been counted anew).

import { DoorbellClient } from "../client/client.js";

const QUERY = { unread: true, notification_type: "new_message", limit: 200 };

export class UnreadMessages extends EventTarget {
  /** @type {Map<number, Doorbell.Notification>} */
  #older = new Map();
  /** What has been read or removed since the older ones were asked for: the answer may not know. @type {Set<number>} */
  #gone = new Set();

  /**
   * @param {DoorbellClient} client
   * @param {(action: () => Promise<unknown>) => void} attempt
   */
  constructor(client, attempt) {
    super();
    this.client = client;
    client.addEventListener("synced", () => attempt(() => this.#readOlder()));
    client.addEventListener("change", (event) => this.#follow(/** @type {CustomEvent} */ (event).detail));
  }

  /** By the id of the person. @returns {Map<number, number>} */
  count() {
    const counts = new Map();
    const { inbox } = this.client;
    const older = [...this.#older.values()].filter(({ id }) => !inbox.get(id));
    for (const row of [...inbox.items, ...older]) {
      // A receipt is about a message, too.
      if (row.notification_type !== "new_message" || row.is_read || !row.actor) continue;
      counts.set(row.actor.id, (counts.get(row.actor.id) ?? 0) + 1);
    }
    return counts;
  }

  /** @param {Doorbell.InboxChange} change */
  #follow({ read, removed }) {
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
      if (gone !== this.#gone) return; // asked again meanwhile
      for (const row of page.items) older.set(row.id, row);
      before = page.next;
    }
    for (const id of gone) older.delete(id);
    this.#older = older;
    this.dispatchEvent(new Event("change"));
  }
}
