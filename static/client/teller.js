// What a leader has to tell, in order, and only while it is certain that it leads. A tab that was frozen may have lost the
// lock without having been told yet; it must not show a second time what its successor has shown.

export class Teller {
  /** @type {Doorbell.Telling[]} */
  #queue = [];
  #isBusy = false;
  #confirm;
  #say;
  #unsure;

  /**
   * @param {object} options
   * @param {() => Promise<boolean>} options.confirm does this tab lead?
   * @param {(telling: Doorbell.Telling) => void} options.say
   * @param {() => void} options.unsure it doesn't; to be answered with `clear`
   */
  constructor({ confirm, say, unsure }) {
    this.#confirm = confirm;
    this.#say = say;
    this.#unsure = unsure;
  }

  /** Where the inbox will stand once everything is told; null if no page is waiting. @returns {Doorbell.Position | null} */
  get position() {
    const waiting = this.#queue.findLast(({ kind }) => kind === "page");
    return waiting?.kind === "page" ? { since: waiting.page.revision, epoch: waiting.page.epoch } : null;
  }

  clear() {
    this.#queue = [];
  }

  /** @param {Doorbell.Telling} telling */
  async tell(telling) {
    this.#queue.push(telling);
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (this.#queue.length > 0) {
      const queue = this.#queue;
      const isSure = await this.#confirm();
      if (queue !== this.#queue) continue; // that reign is over
      if (!isSure) this.#unsure();
      while (queue === this.#queue && queue.length > 0) this.#say(/** @type {Doorbell.Telling} */ (queue.shift()));
    }
    this.#isBusy = false;
  }
}
