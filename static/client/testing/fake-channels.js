// BroadcastChannel between tabs in memory: each message is cloned and delivered in order, asynchronously, to all but the
// sender.

export class FakeChannels {
  /** This many of the next messages are lost. */
  losing = 0;
  /** @type {Set<{tab: any, name: string, target: EventTarget}>} */
  #ends = new Set();

  /**
   * @param {{run: (source: string, task: () => void) => void}} tab
   * @returns {typeof globalThis.BroadcastChannel}
   */
  forTab(tab) {
    const channels = this;
    return /** @type {any} */ (
      class FakeBroadcastChannel extends EventTarget {
        /** @param {string} name */
        constructor(name) {
          super();
          this.name = name;
          this.end = { tab, name, target: this };
          channels.#ends.add(this.end);
        }

        /** @param {unknown} data */
        postMessage(data) {
          channels.#post(this.end, data);
        }

        close() {
          channels.#ends.delete(this.end);
        }
      }
    );
  }

  /** Closes the channels of a tab. @param {object} tab */
  removeTab(tab) {
    for (const end of this.#ends) if (end.tab === tab) this.#ends.delete(end);
  }

  /**
   * @param {{tab: any, name: string, target: EventTarget}} from
   * @param {unknown} data
   */
  #post(from, data) {
    if (!this.#ends.has(from)) return;
    if (this.losing > 0) return void this.losing--;
    for (const end of this.#ends) {
      if (end === from || end.name !== from.name) continue;
      const event = Object.assign(new Event("message"), { data: structuredClone(data) });
      queueMicrotask(() => end.tab.run("channel", () => this.#ends.has(end) && end.target.dispatchEvent(event)));
    }
  }
}
