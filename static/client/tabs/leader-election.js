// Leader election among the tabs of one user: the tab that holds a Web Lock leads. The browser grants the lock to the next
// tab in the queue when its holder is closed or crashes; a holder that hangs and doesn't answer can have it stolen.
//
// Events: `elected`, `deposed` (another tab stole the lock), `unavailable` (no locks here: a sandbox, a privacy setting).

/** A confirmation that takes longer is repeated: far less than the time after which a silent leader loses the lock. */
const MAX_CONFIRM_MS = 1_000;

export class LeaderElection extends EventTarget {
  /** Releases the lock; null when this tab doesn't lead. @type {(() => void) | null} */
  #release = null;
  #queued = new AbortController();
  /** This tab's client id in the lock manager. @type {string | undefined} */
  #clientId;
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

  /** Queue for the lock. */
  campaign() {
    this.#queued = new AbortController();
    this.#request({ signal: this.#queued.signal });
  }

  /** Take the lock from a leader that doesn't answer. */
  steal() {
    this.#queued.abort();
    this.#request({ steal: true });
  }

  /** Release the lock and leave the queue. */
  resign() {
    this.#queued.abort();
    this.#release?.();
    this.#release = null;
  }

  /**
   * Whether this tab still leads. The lock of a tab that was frozen may have been stolen before the tab is notified of it,
   * so the browser is queried. An answer that took long may be from before a freeze, so the query is repeated.
   */
  async confirm() {
    for (let elapsed = Infinity; elapsed > MAX_CONFIRM_MS; ) {
      const startedAt = this.#clock.now();
      if (this.#release === null || (await this.#queryHolder()) !== this.#clientId) return false;
      elapsed = this.#clock.now() - startedAt;
    }
    return this.#release !== null;
  }

  /** @param {{signal?: AbortSignal, steal?: boolean}} options */
  async #request(options) {
    const released = deferred();
    try {
      await this.#locks.request(this.#name, options, () => this.#hold(released));
    } catch (error) {
      if (this.#release === released.resolve) {
        this.#release = null;
        this.dispatchEvent(new Event("deposed"));
      } else if (/** @type {any} */ (error)?.name !== "AbortError") {
        this.dispatchEvent(new Event("unavailable"));
      }
    }
  }

  /** Holds the lock until the promise it returns is resolved. @param {ReturnType<typeof deferred>} released */
  async #hold(released) {
    this.#release = released.resolve;
    this.#clientId = await this.#queryHolder();
    if (this.#release === released.resolve) this.dispatchEvent(new Event("elected"));
    await released.promise;
  }

  /** @returns {Promise<string | undefined>} the client id of the tab that holds the lock now */
  async #queryHolder() {
    const { held = [] } = await this.#locks.query().catch(() => ({ held: [] }));
    return held.find((lock) => lock.name === this.#name)?.clientId;
  }
}

function deferred() {
  let resolve = () => {};
  const promise = /** @type {Promise<void>} */ (new Promise((done) => (resolve = () => done(undefined))));
  return { promise, resolve };
}
