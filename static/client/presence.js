// Who is online, as far as this user may know. A person's `version` rises with each change; what isn't higher is old.

import { FrameType } from "./protocol.js";

export class PresenceMap {
  /** By user id. @type {Map<number, Doorbell.Presence>} */
  #people = new Map();

  /** @param {number} userId */
  get(userId) {
    return this.#people.get(userId);
  }

  /** @param {number} userId */
  isOnline(userId) {
    return this.#people.get(userId)?.is_online ?? false;
  }

  [Symbol.iterator]() {
    return this.#people.values();
  }

  /**
   * @param {Doorbell.Frame} frame
   * @returns {boolean} did anything change?
   */
  apply(frame) {
    if (frame.type === FrameType.PRESENCE_STATE) return this.#snapshot(frame.online);
    if (frame.type === FrameType.PRESENCE) return this.merge([frame]);
    return false;
  }

  /**
   * @param {Doorbell.Presence[]} entries
   * @returns {boolean}
   */
  merge(entries) {
    let changed = false;
    for (const { user, is_online, last_seen, version } of entries) {
      const known = this.#people.get(user.id);
      if (known && version <= known.version) continue;
      this.#people.set(user.id, { user, is_online, last_seen, version });
      changed = true;
    }
    return changed;
  }

  /** Begin anew with what another tab knows. @param {Doorbell.Presence[]} entries */
  restore(entries) {
    this.#people = new Map(entries.map((entry) => [entry.user.id, entry]));
  }

  /** The whole of who is online now: whoever isn't named went while nobody told us. @param {Doorbell.Presence[]} online */
  #snapshot(online) {
    const named = new Set(online.map((entry) => entry.user.id));
    for (const [id, entry] of this.#people) {
      if (entry.is_online && !named.has(id)) this.#people.set(id, { ...entry, is_online: false });
      if (named.has(id)) this.#people.delete(id); // the snapshot is the present, whatever was known
    }
    this.merge(online);
    return true;
  }
}
