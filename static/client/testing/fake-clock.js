// A clock that advances only when a test advances it.

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

  /** Advances the clock and fires the timers that fall due, in order; promises settle in between. @param {number} ms */
  async advance(ms) {
    const end = this.#now + ms;
    await settle();
    for (let due = this.#nextDue(end); due; due = this.#nextDue(end)) {
      const [id, timer] = due;
      this.#timers.delete(id);
      this.#now = timer.at;
      timer.callback();
      await settle();
    }
    this.#now = end;
  }

  /** @param {number} end */
  #nextDue(end) {
    return [...this.#timers].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
  }
}

/** Queues a macrotask: setImmediate where it exists, because it is faster. @type {(callback: () => void) => unknown} */
const queueMacrotask = globalThis.setImmediate ?? ((callback) => setTimeout(callback, 0));

/** Resolves after all pending microtasks. */
export function settle() {
  return new Promise((resolve) => queueMacrotask(() => resolve(undefined)));
}
