// The browser's lock manager, for tabs in memory: one holder a name, a queue behind it, and theft.

/** @typedef {{name: string, run: (source: string, task: () => void) => void}} Tab */
/** @typedef {{name: string, tab: Tab, callback: () => Promise<void>, resolve: (value: unknown) => void, reject: (error: unknown) => void}} Request */

export class FakeLocks {
  /** Every request is refused with this. @type {Error | null} */
  refusal = null;
  /** @type {Map<string, Request>} */
  #held = new Map();
  /** @type {Request[]} */
  #waiting = [];

  /**
   * @param {Tab} tab
   * @returns {Doorbell.Locks}
   */
  seenFrom(tab) {
    return {
      request: (name, options, callback) => this.#request(tab, name, options, callback),
      query: () => new Promise((resolve) => {
        const held = [...this.#held].map(([name, request]) => ({ name, clientId: request.tab.name }));
        queueMicrotask(() => tab.run("locks", () => resolve({ held })));
      }),
    };
  }

  /** A tab is gone. @param {Tab} tab */
  drop(tab) {
    this.#waiting = this.#waiting.filter((request) => request.tab !== tab);
    for (const request of [...this.#held.values()]) if (request.tab === tab) this.#release(request);
  }

  /** The name of the tab that holds the lock. @param {string} name */
  holder(name) {
    return this.#held.get(name)?.tab.name;
  }

  /**
   * @param {Tab} tab
   * @param {string} name
   * @param {{signal?: AbortSignal, steal?: boolean}} options
   * @param {() => Promise<void>} callback
   */
  #request(tab, name, { signal, steal = false }, callback) {
    if (this.refusal) return Promise.reject(this.refusal);
    return new Promise((resolve, reject) => {
      const request = { name, tab, callback, resolve, reject };
      signal?.addEventListener("abort", () => this.#withdraw(request));
      const holder = this.#held.get(name);
      if (holder && steal) holder.tab.run("locks", () => holder.reject(aborted()));
      if (holder && !steal) this.#waiting.push(request);
      else this.#grant(request);
    });
  }

  /** @param {Request} request */
  #withdraw(request) {
    if (!this.#waiting.includes(request)) return;
    this.#waiting = this.#waiting.filter((other) => other !== request);
    request.reject(aborted());
  }

  /** @param {Request} request */
  #grant(request) {
    this.#held.set(request.name, request);
    request.tab.run("locks", async () => {
      await request.callback();
      request.resolve(undefined);
      this.#release(request);
    });
  }

  /** @param {Request} request */
  #release(request) {
    if (this.#held.get(request.name) !== request) return; // stolen meanwhile
    this.#held.delete(request.name);
    const next = this.#waiting.find(({ name }) => name === request.name);
    if (!next) return;
    this.#waiting = this.#waiting.filter((other) => other !== next);
    this.#grant(next);
  }
}

function aborted() {
  return new DOMException("The lock is gone.", "AbortError");
}
