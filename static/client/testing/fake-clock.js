// Time that passes only when a test says so.

/** @implements {Doorbell.Clock} */
export class FakeClock {
  #now = 0;
  #nextId = 1;
  /** @type {Map<number, {at: number, callback: () => void}>} */
  #timers = new Map();

  now = () => this.#now;

  /** @type {Doorbell.Clock["setTimeout"]} */
  setTimeout = (callback, ms) => {
    const id = this.#nextId++;
    this.#timers.set(id, { at: this.#now + ms, callback });
    return id;
  };

  /** @param {number | null} id */
  clearTimeout = (id) => {
    if (id !== null) this.#timers.delete(id);
  };

  /** Let time pass, firing what falls due, in order; promises settle in between. @param {number} ms */
  async advance(ms) {
    const end = this.#now + ms;
    await settle();
    for (let due = this.#first(end); due; due = this.#first(end)) {
      const [id, timer] = due;
      this.#timers.delete(id);
      this.#now = timer.at;
      timer.callback();
      await settle();
    }
    this.#now = end;
  }

  /** @param {number} end */
  #first(end) {
    return [...this.#timers].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
  }
}

/** The next turn of the loop; a browser has no setImmediate, which is quicker. @type {(callback: () => void) => unknown} */
const soon = globalThis.setImmediate ?? ((callback) => setTimeout(callback, 0));

/** Until everything that was promised has happened. */
export function settle() {
  return new Promise((resolve) => soon(() => resolve(undefined)));
}
