// The leader's ordered outbox. It confirms the leadership before it broadcasts: a tab that was frozen may have lost the
// lock before it is notified of that, and must not show a second time what its successor has shown already.

export class LeaderOutbox {
  /** @type {Doorbell.LeaderMessage[]} */
  #queue = [];
  #isFlushing = false;
  #confirm;
  #broadcast;
  #onLeadershipLost;

  /**
   * @param {object} options
   * @param {() => Promise<boolean>} options.confirm whether this tab leads
   * @param {(message: Doorbell.LeaderMessage) => void} options.broadcast
   * @param {() => void} options.onLeadershipLost must call `clear`
   */
  constructor({ confirm, broadcast, onLeadershipLost }) {
    this.#confirm = confirm;
    this.#broadcast = broadcast;
    this.#onLeadershipLost = onLeadershipLost;
  }

  /** The inbox's position once the queue is flushed; null if no page is queued. @returns {Doorbell.Position | null} */
  get position() {
    const last = this.#queue.filter(({ kind }) => kind === "page").at(-1);
    return last?.kind === "page" ? { since: last.page.revision, epoch: last.page.epoch } : null;
  }

  clear() {
    this.#queue = [];
  }

  /** @param {Doorbell.LeaderMessage} message */
  async enqueue(message) {
    this.#queue.push(message);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    while (this.#queue.length > 0) {
      const queue = this.#queue;
      const isLeader = await this.#confirm();
      if (queue !== this.#queue) continue; // cleared meanwhile: this answer is about an earlier term
      if (!isLeader) this.#onLeadershipLost();
      while (queue === this.#queue && queue.length > 0) this.#broadcast(/** @type {Doorbell.LeaderMessage} */ (queue.shift()));
    }
    this.#isFlushing = false;
  }
}
