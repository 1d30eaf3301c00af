// Which tab leads: the one that holds a Web Lock. The browser hands it on by itself when a tab closes or crashes; a tab
// that hangs on to it without answering can be robbed of it.
//
// Events: `elected`, `deposed` (another tab stole the lock), `unavailable` (no locks here: a sandbox, a privacy setting).

/** Much less than it takes to find a leader silent. */
const FRESH_MS = 1_000;

export class Leadership extends EventTarget {
  /** Ends the present reign; null when this tab doesn't lead. @type {(() => void) | null} */
  #resign = null;
  #waiting = new AbortController();
  /** What the lock manager calls this tab. @type {string | undefined} */
  #self;
  #clock;
  #locks;
  #name;

  /** @param {{locks: Doorbell.Locks, name: string, clock: Doorbell.Clock}} options */
  constructor({ locks, name, clock }) {
    super();
    this.#clock = clock;
    this.#locks = locks;
    this.#name = name;
  }

  /** Stand in the queue for the lock. */
  campaign() {
    this.#waiting = new AbortController();
    this.#request({ signal: this.#waiting.signal });
  }

  /** Take the lock from a leader that doesn't answer. */
  steal() {
    this.#waiting.abort();
    this.#request({ steal: true });
  }

  /** Lead no more, and don't stand in the queue either. */
  resign() {
    this.#waiting.abort();
    this.#resign?.();
    this.#resign = null;
  }

  /**
   * Still leading? A tab that was frozen may have been robbed without having been told yet, so the browser is asked. An
   * answer that took long may be from before a freeze.
   */
  async confirm() {
    for (let took = Infinity; took > FRESH_MS; ) {
      const asked = this.#clock.now();
      if (this.#resign === null || (await this.#holder()) !== this.#self) return false;
      took = this.#clock.now() - asked;
    }
    return this.#resign !== null;
  }

  /** @param {{signal?: AbortSignal, steal?: boolean}} options */
  async #request(options) {
    const end = deferred();
    try {
      await this.#locks.request(this.#name, options, () => this.#reign(end));
    } catch (error) {
      if (this.#resign === end.resolve) {
        this.#resign = null;
        this.dispatchEvent(new Event("deposed"));
      } else if (/** @type {any} */ (error)?.name !== "AbortError") {
        this.dispatchEvent(new Event("unavailable"));
      }
    }
  }

  /** Keeps the lock until the promise it returns is resolved. @param {ReturnType<typeof deferred>} end */
  async #reign(end) {
    this.#resign = end.resolve;
    this.#self = await this.#holder();
    if (this.#resign === end.resolve) this.dispatchEvent(new Event("elected"));
    await end.promise;
  }

  /** @returns {Promise<string | undefined>} the tab that has the lock now */
  async #holder() {
    const { held = [] } = await this.#locks.query().catch(() => ({ held: [] }));
    return held.find((lock) => lock.name === this.#name)?.clientId;
  }
}

function deferred() {
  let resolve = () => {};
  const promise = /** @type {Promise<void>} */ (new Promise((done) => (resolve = () => done(undefined))));
  return { promise, resolve };
}
