// Which tab the user is looking at, as the tabs tell each other. The leader chooses by it where a toast is shown.

import { systemClock } from "./clock.js";

/** A tab that was silent for this long may be hung: it is shown nothing. */
const FORGOTTEN_MS = 3_000;

export class Audience {
  /** By tab. @type {Map<string, Doorbell.Look & {at: number}>} */
  #tabs = new Map();
  #clock;

  /** @param {{clock?: Doorbell.Clock}} [options] */
  constructor({ clock = systemClock } = {}) {
    this.#clock = clock;
  }

  /**
   * @param {string} tab
   * @param {Doorbell.Look} look
   */
  note(tab, { isVisible, focusedAt }) {
    this.#tabs.set(tab, { isVisible, focusedAt, at: this.#clock.now() });
  }

  /** @param {string} tab */
  forget(tab) {
    this.#tabs.delete(tab);
  }

  /**
   * The visible tab that was focused last; if none is visible, the one that asks.
   * @param {string} self
   * @param {Doorbell.Look} look its own
   */
  choose(self, look) {
    const since = this.#clock.now() - FORGOTTEN_MS;
    let chosen = { tab: self, focusedAt: look.isVisible ? look.focusedAt : -Infinity };
    for (const [tab, { isVisible, focusedAt, at }] of this.#tabs) {
      if (isVisible && at >= since && focusedAt > chosen.focusedAt) chosen = { tab, focusedAt };
    }
    return chosen.tab;
  }
}
