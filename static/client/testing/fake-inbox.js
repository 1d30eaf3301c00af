// The server's side of one inbox, in memory: rows, revisions, catch-up. The real server does the same in SQL.

/** @typedef {Doorbell.Notification & {revision: number, removed: boolean}} Row */

export class FakeInbox {
  /** @type {Map<number, Row>} */
  rows = new Map();
  revision = 0;
  epoch = "e1";
  /** Revisions up to this one can't be replayed any more. */
  floor = 0;
  tooFarBehind = 1_000;

  get unreadCount() {
    return this.#existing().filter((row) => !row.is_read).length;
  }

  /**
   * Adds notifications, in one revision.
   * @param {Partial<Doorbell.Notification>[]} notifications
   * @returns {Doorbell.InboxFrame}
   */
  add(notifications) {
    this.revision += 1;
    const added = notifications.map((fields) => this.#create(fields));
    return this.#frame({ added: added.map(publicRow) });
  }

  /**
   * @param {number[]} ids
   * @param {boolean} isRead
   * @returns {Doorbell.InboxFrame | null} null if nothing changed
   */
  setRead(ids, isRead) {
    const changed = this.#existing().filter((row) => ids.includes(row.id) && row.is_read !== isRead);
    if (changed.length === 0) return null;
    this.revision += 1;
    for (const row of changed) Object.assign(row, { is_read: isRead, revision: this.revision });
    const changedIds = changed.map((row) => row.id);
    return this.#frame(isRead ? { read: changedIds } : { unread: changedIds });
  }

  /**
   * @param {number[]} ids
   * @returns {Doorbell.InboxFrame | null}
   */
  remove(ids) {
    const changed = this.#existing().filter((row) => ids.includes(row.id));
    if (changed.length === 0) return null;
    this.revision += 1;
    for (const row of changed) Object.assign(row, { removed: true, revision: this.revision });
    return this.#frame({ removed: changed.map((row) => row.id) });
  }

  /**
   * @param {{before?: number, limit?: number}} [query]
   * @returns {Doorbell.InboxPage}
   */
  list({ before = Infinity, limit = 50 } = {}) {
    const rows = this.#existing().filter((row) => row.id < before);
    const items = rows.sort((a, b) => b.id - a.id).slice(0, limit);
    return {
      items: items.map(publicRow),
      next: rows.length > limit ? /** @type {Row} */ (items.at(-1)).id : null,
      epoch: this.epoch,
      revision: this.revision,
      unread_count: this.unreadCount,
    };
  }

  /**
   * Why a catch-up is impossible, in the contract's order of tests; null if it is possible.
   * @param {number} since
   * @param {string} epoch
   */
  resetReason(since, epoch) {
    if (epoch !== this.epoch) return "new_epoch";
    if (!Number.isSafeInteger(since) || since < 0 || since > this.revision) return "unknown_revision";
    if (since < this.floor) return "history_removed";
    if (this.#changedAfter(since).length > this.tooFarBehind) return "too_far_behind";
    return null;
  }

  /**
   * Every row changed after `since`, once, in its current state; no revision is spread over two frames.
   * @param {number} since
   * @param {number} [pageSize] rows per frame, except where one revision has more
   * @returns {Doorbell.InboxFrame[]}
   */
  replay(since, pageSize = 100) {
    /** @type {Row[][]} */
    const pages = [];
    for (const row of this.#changedAfter(since)) {
      const page = pages.at(-1);
      if (page && (page.length < pageSize || page.at(-1)?.revision === row.revision)) page.push(row);
      else pages.push([row]);
    }
    return pages.map((rows) => ({
      ...this.#frame({
        added: rows.filter((row) => !row.removed).map(publicRow),
        removed: rows.filter((row) => row.removed).map((row) => row.id),
      }),
      revision: /** @type {Row} */ (rows.at(-1)).revision,
      replayed: true,
    }));
  }

  /** @param {number} since */
  #changedAfter(since) {
    return [...this.rows.values()].filter((row) => row.revision > since).sort((a, b) => a.revision - b.revision);
  }

  #existing() {
    return [...this.rows.values()].filter((row) => !row.removed);
  }

  /** @param {Partial<Doorbell.Notification>} fields */
  #create(fields) {
    const id = fields.id ?? this.rows.size + 1;
    const row = {
      notification_type: "new_message",
      title: `Notification ${id}`,
      description: "",
      level: /** @type {Doorbell.Level} */ ("info"),
      is_read: false,
      created_at: new Date().toISOString(),
      actor: null,
      message_id: null,
      url: null,
      data: null,
      group: null,
      count: 1,
      ...fields,
      id,
      revision: this.revision,
      removed: false,
    };
    this.rows.set(id, row);
    return row;
  }

  /**
   * @param {Partial<Doorbell.InboxFrame>} changes
   * @returns {Doorbell.InboxFrame}
   */
  #frame(changes) {
    return {
      type: "inbox",
      revision: this.revision,
      unread_count: this.unreadCount,
      replayed: false,
      ...changes,
    };
  }
}

/**
 * @param {Row} row
 * @returns {Doorbell.Notification}
 */
function publicRow({ revision: _revision, removed: _removed, ...row }) {
  return row;
}
