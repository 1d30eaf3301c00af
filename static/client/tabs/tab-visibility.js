// The visibility of each tab, as reported by the tabs. The leader chooses by it which tab shows a toast.

import { systemClock } from "../clock.js";

/** A tab that has reported nothing for this long may hang: no toast is sent to it. */
const MAX_SILENCE_MS = 3_000;

export class TabVisibility {
  /** By tab id. @type {Map<string, Doorbell.Visibility & {reportedAt: number}>} */
  #reports = new Map();
  #clock;

  /** @param {{clock?: Doorbell.Clock}} [options] */
  constructor({ clock = systemClock } = {}) {
    this.#clock = clock;
  }

  /**
   * @param {string} tabId
   * @param {Doorbell.Visibility} visibility
   */
  record(tabId, { isVisible, focusedAt }) {
    this.#reports.set(tabId, { isVisible, focusedAt, reportedAt: this.#clock.now() });
  }

  /** @param {string} tabId */
  remove(tabId) {
    this.#reports.delete(tabId);
  }

  /**
   * The tab that shows a toast: the visible one that was focused last; if none is visible, the leader.
   * @param {string} leaderId
   * @param {Doorbell.Visibility} leaderVisibility
   */
  chooseToastTab(leaderId, leaderVisibility) {
    const oldest = this.#clock.now() - MAX_SILENCE_MS;
    let chosen = { tabId: leaderId, focusedAt: leaderVisibility.isVisible ? leaderVisibility.focusedAt : -Infinity };
    for (const [tabId, { isVisible, focusedAt, reportedAt }] of this.#reports) {
      if (isVisible && reportedAt >= oldest && focusedAt > chosen.focusedAt) chosen = { tabId, focusedAt };
    }
    return chosen.tabId;
  }
}
