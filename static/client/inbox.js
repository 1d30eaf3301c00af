// The state of one inbox, pure: no socket, no HTTP, no clock. Its one law: a list read over HTTP plus the frames after
// it is the same as a fresh read. Everything here is idempotent, and nothing older than the state can change it.

import { FrameType } from "./protocol.js";

/** A change of nothing. @type {Readonly<Doorbell.InboxChange>} */
export const NOTHING = Object.freeze({ added: [], toasts: [], read: [], removed: [] });

export class Inbox {
  /** @type {Map<number, Doorbell.Notification>} */
  #rows = new Map();
  /** Frames applied while a page was being read, to be applied to that page too. @type {Set<Doorbell.InboxFrame[]>} */
  #journals = new Set();
  /** The highest revision that an answer has told of; its count is newer than those of answers below. */
  #answered = 0;

  revision = 0;
  /** Null until the first list. @type {string | null} */
  epoch = null;
  unreadCount = 0;
  /** Where the next page begins; null when there is none. Older rows are outside the window. @type {number | null} */
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

  /** All of it, as one page that another inbox can begin with; null before the first list. @returns {Doorbell.InboxPage | null} */
  get page() {
    const { epoch, revision, items, next, unreadCount: unread_count } = this;
    return epoch === null ? null : { items, next, epoch, revision, unread_count };
  }

  /**
   * Would this page bring anything?
   * @param {Doorbell.InboxPage} page
   */
  isBehind(page) {
    return page.epoch !== this.epoch || page.revision > this.revision;
  }

  /**
   * Begin anew with the first page of the list.
   * @param {Doorbell.InboxPage} page
   */
  load(page) {
    this.#rows = new Map(page.items.map((row) => [row.id, row]));
    this.#journals.clear(); // pages still being read belong to the state that was
    this.#answered = 0;
    this.revision = page.revision;
    this.epoch = page.epoch;
    this.unreadCount = page.unread_count;
    this.next = page.next;
  }

  /**
   * Put a further page below. `read` fetches it; what frames change in the meantime is not lost on it.
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
      for (const frame of journal) if (frame.revision > page.revision) overlay(older, frame);
      for (const [id, row] of older) if (!this.#rows.has(id)) this.#rows.set(id, row);
      this.next = page.next;
    } finally {
      this.#journals.delete(journal);
    }
  }

  /**
   * Apply one frame. A frame of the past changes nothing; a live frame that would leave a gap is refused (null), because
   * taking it would hide what is missing for good.
   * @param {Doorbell.Frame} frame
   * @returns {Doorbell.InboxChange | null}
   */
  apply(frame) {
    if (frame.type === FrameType.INBOX) return this.#applyRevision(frame);
    if (frame.type === FrameType.SYNCED || frame.type === FrameType.HEARTBEAT) this.#applyCount(frame);
    return NOTHING;
  }

  /**
   * Take over the answer of a read or unread call, unless frames have told it already. The revision stays: what
   * others changed before it is still to come.
   * @param {Doorbell.ReadAnswer} answer
   * @param {boolean} isRead
   */
  applyAnswer(answer, isRead) {
    if (answer.revision <= this.revision) return;
    setRead(this.#rows, answer.ids, isRead);
    if (answer.revision < this.#answered) return; // overtaken by a later one, which counted this in
    this.#answered = answer.revision;
    this.unreadCount = answer.unread_count;
  }

  /**
   * Drop a row that was removed over HTTP. The count comes with the frame.
   * @param {number} id
   */
  drop(id) {
    this.#rows.delete(id);
  }

  /** @param {Doorbell.InboxFrame} frame */
  #applyRevision(frame) {
    if (this.epoch === null || frame.revision <= this.revision) return NOTHING;
    if (!frame.replayed && frame.revision !== this.revision + 1) return null;

    const added = (frame.added ?? []).filter((row) => this.#inWindow(row.id));
    const fresh = added.filter((row) => !this.#rows.has(row.id));
    for (const row of added) this.#rows.set(row.id, row);
    overlay(this.#rows, frame);
    for (const journal of this.#journals) journal.push(frame);
    this.revision = frame.revision;
    this.unreadCount = frame.unread_count;
    // Presence-like notifications are born read: live they toast as well, replayed they are old news.
    const toasts = fresh.filter((row) => this.#rows.has(row.id) && (!row.is_read || !frame.replayed));
    return { added, toasts, read: frame.read ?? [], removed: frame.removed ?? [] };
  }

  /** @param {Doorbell.SyncedFrame | Doorbell.HeartbeatFrame} frame */
  #applyCount(frame) {
    if (this.epoch === null || frame.revision < this.revision) return;
    if (frame.type === FrameType.SYNCED) this.revision = frame.revision; // whole up to here
    if (frame.revision === this.revision) this.unreadCount = frame.unread_count;
  }

  /** @param {number} id */
  #inWindow(id) {
    return this.next === null || id >= this.next;
  }
}

/**
 * What a frame says about rows that are there already.
 * @param {Map<number, Doorbell.Notification>} rows
 * @param {Doorbell.InboxFrame} frame
 */
function overlay(rows, frame) {
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
