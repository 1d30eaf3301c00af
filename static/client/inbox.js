// The state of one inbox. Pure: no socket, no HTTP, no clock. Its invariant: a list read over HTTP plus the frames after it
// equals a fresh read. Every operation is idempotent, and nothing older than the state can change it.

import { FrameType } from "./protocol.js";

/** @type {Readonly<Doorbell.InboxChange>} */
export const NO_CHANGE = Object.freeze({ added: [], toasts: [], read: [], removed: [] });

export class Inbox {
  /** @type {Map<number, Doorbell.Notification>} */
  #rows = new Map();
  /** For each page that is being read, the frames applied meanwhile: they are applied to that page, too. @type {Set<Doorbell.InboxFrame[]>} */
  #journals = new Set();
  /** The highest revision of an HTTP answer so far; its count is newer than the counts of answers below. */
  #answeredRevision = 0;

  revision = 0;
  /** Null until the first list. @type {string | null} */
  epoch = null;
  unreadCount = 0;
  /** Where the next page starts; null when there is none. Older rows are outside the loaded window. @type {number | null} */
  next = null;

  /** @returns {Doorbell.Position | null} */
  get position() {
    return this.epoch === null ? null : { since: this.revision, epoch: this.epoch };
  }

  /** Newest first. */
  get items() {
    return [...this.#rows.values()].sort((a, b) => b.id - a.id);
  }

  /** @param {number} id */
  get(id) {
    return this.#rows.get(id);
  }

  /** The whole state as one page, from which another inbox can start; null before the first list. @returns {Doorbell.InboxPage | null} */
  get page() {
    const { epoch, revision, items, next, unreadCount: unread_count } = this;
    return epoch === null ? null : { items, next, epoch, revision, unread_count };
  }

  /**
   * Whether this page is newer than the state.
   * @param {Doorbell.InboxPage} page
   */
  isBehind(page) {
    return page.epoch !== this.epoch || page.revision > this.revision;
  }

  /**
   * Replaces the state with the first page of the list.
   * @param {Doorbell.InboxPage} page
   */
  load(page) {
    this.#rows = new Map(page.items.map((row) => [row.id, row]));
    this.#journals.clear(); // pages still being read belong to the replaced state
    this.#answeredRevision = 0;
    this.revision = page.revision;
    this.epoch = page.epoch;
    this.unreadCount = page.unread_count;
    this.next = page.next;
  }

  /**
   * Appends a page of older rows. `read` fetches it; changes by frames that arrive meanwhile are applied to it, too.
   * @param {() => Promise<Doorbell.InboxPage>} read
   */
  async extend(read) {
    /** @type {Doorbell.InboxFrame[]} */
    const journal = [];
    this.#journals.add(journal);
    try {
      const page = await read();
      if (!this.#journals.has(journal) || page.epoch !== this.epoch) return;
      const older = new Map(page.items.map((row) => [row.id, row]));
      for (const frame of journal) if (frame.revision > page.revision) applyToRows(older, frame);
      for (const [id, row] of older) if (!this.#rows.has(id)) this.#rows.set(id, row);
      this.next = page.next;
    } finally {
      this.#journals.delete(journal);
    }
  }

  /**
   * Applies one frame. An outdated frame changes nothing; a live frame that would leave a gap is refused (null), because
   * applying it would hide the missing revision for good.
   * @param {Doorbell.Frame} frame
   * @returns {Doorbell.InboxChange | null}
   */
  apply(frame) {
    if (frame.type === FrameType.INBOX) return this.#applyRevision(frame);
    if (frame.type === FrameType.SYNCED || frame.type === FrameType.HEARTBEAT) this.#applyCount(frame);
    return NO_CHANGE;
  }

  /**
   * Applies the answer of a read or unread call, unless frames have brought that revision already. The inbox's own revision
   * stays: the frames up to the answer's revision are still to come.
   * @param {Doorbell.ReadAnswer} answer
   * @param {boolean} isRead
   */
  applyAnswer(answer, isRead) {
    if (answer.revision <= this.revision) return;
    setRead(this.#rows, answer.ids, isRead);
    if (answer.revision < this.#answeredRevision) return; // overtaken by a later answer, whose count includes this one
    this.#answeredRevision = answer.revision;
    this.unreadCount = answer.unread_count;
  }

  /**
   * Drops a row that was removed over HTTP. The unread count follows with the frame.
   * @param {number} id
   */
  drop(id) {
    this.#rows.delete(id);
  }

  /** @param {Doorbell.InboxFrame} frame */
  #applyRevision(frame) {
    if (this.epoch === null || frame.revision <= this.revision) return NO_CHANGE;
    if (!frame.replayed && frame.revision !== this.revision + 1) return null;

    const added = (frame.added ?? []).filter((row) => this.#isInWindow(row.id));
    const fresh = added.filter((row) => !this.#rows.has(row.id));
    for (const row of added) this.#rows.set(row.id, row);
    applyToRows(this.#rows, frame);
    for (const journal of this.#journals) journal.push(frame);
    this.revision = frame.revision;
    this.unreadCount = frame.unread_count;
    // Presence-like notifications are created as read: they toast when live, but not from a replay, where they are old news.
    const toasts = fresh.filter((row) => this.#rows.has(row.id) && (!row.is_read || !frame.replayed));
    return { added, toasts, read: frame.read ?? [], removed: frame.removed ?? [] };
  }

  /** @param {Doorbell.SyncedFrame | Doorbell.HeartbeatFrame} frame */
  #applyCount(frame) {
    if (this.epoch === null || frame.revision < this.revision) return;
    if (frame.type === FrameType.SYNCED) this.revision = frame.revision; // complete up to here
    if (frame.revision === this.revision) this.unreadCount = frame.unread_count;
  }

  /** @param {number} id */
  #isInWindow(id) {
    return this.next === null || id >= this.next;
  }
}

/**
 * Applies a frame to the rows that exist already.
 * @param {Map<number, Doorbell.Notification>} rows
 * @param {Doorbell.InboxFrame} frame
 */
function applyToRows(rows, frame) {
  for (const row of frame.added ?? []) if (rows.has(row.id)) rows.set(row.id, row);
  setRead(rows, frame.read ?? [], true);
  setRead(rows, frame.unread ?? [], false);
  for (const id of frame.removed ?? []) rows.delete(id);
}

/**
 * @param {Map<number, Doorbell.Notification>} rows
 * @param {number[]} ids
 * @param {boolean} isRead
 */
function setRead(rows, ids, isRead) {
  for (const id of ids) {
    const row = rows.get(id);
    if (row && row.is_read !== isRead) rows.set(id, { ...row, is_read: isRead });
  }
}
