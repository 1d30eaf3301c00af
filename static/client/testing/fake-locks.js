// The browser's LockManager for tabs in memory: one holder per name, a queue, and `steal`.

/** @typedef {{name: string, run: (source: string, task: () => void) => void}} Tab */
/** @typedef {{name: string, tab: Tab, callback: () => Promise<void>, resolve: (value: unknown) => void, reject: (error: unknown) => void}} Request */

export class FakeLocks {
  /** When set, every request is rejected with it. @type {Error | null} */
  refusal = null;
  /** @type {Map<string, Request>} */
  #held = new Map();
  /** @type {Request[]} */
  #queue = [];

  /**
   * @param {Tab} tab
   * @returns {Doorbell.Locks}
   */
  forTab(tab) {
    return {
      request: (name, options, callback) => this.#request(tab, name, options, callback),
      query: () => new Promise((resolve) => {
        const held = [...this.#held].map(([name, request]) => ({ name, clientId: request.tab.name }));
        queueMicrotask(() => tab.run("locks", () => resolve({ held })));
      }),
    };
  }

  /** Releases the locks of a tab and withdraws its requests. @param {Tab} tab */
  removeTab(tab) {
    this.#queue = this.#queue.filter((request) => request.tab !== tab);
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
      if (holder && !steal) this.#queue.push(request);
      else this.#grant(request);
    });
  }

  /** @param {Request} request */
  #withdraw(request) {
    if (!this.#queue.includes(request)) return;
    this.#queue = this.#queue.filter((other) => other !== request);
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
    if (this.#held.get(request.name) !== request) return; // it was stolen meanwhile
    this.#held.delete(request.name);
    const next = this.#queue.find(({ name }) => name === request.name);
    if (!next) return;
    this.#queue = this.#queue.filter((other) => other !== next);
    this.#grant(next);
  }
}

function aborted() {
  return new DOMException("The request was aborted, or its lock stolen.", "AbortError");
}
