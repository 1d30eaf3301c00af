// Presence of the user's contacts. A contact's `version` rises with each change: an entry that isn't higher is outdated.

import { FrameType } from "./protocol.js";

export class PresenceMap {
  /** By user id, as text: a page may hold it as an attribute. @type {Map<string, Doorbell.Presence>} */
  #contacts = new Map();

  /** @param {Doorbell.UserId} userId */
  get(userId) {
    return this.#contacts.get(String(userId));
  }

  /** @param {Doorbell.UserId} userId */
  isOnline(userId) {
    return this.get(userId)?.is_online ?? false;
  }

  [Symbol.iterator]() {
    return this.#contacts.values();
  }

  /**
   * @param {Doorbell.Frame} frame
   * @returns {boolean} whether anything changed
   */
  apply(frame) {
    if (frame.type === FrameType.PRESENCE_STATE) return this.#replaceOnline(frame.online);
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
      const known = this.get(user.id);
      if (known && version <= known.version) continue;
      this.#contacts.set(String(user.id), { user, is_online, last_seen, version });
      changed = true;
    }
    return changed;
  }

  /** Replaces all entries with those of another tab. @param {Doorbell.Presence[]} entries */
  restore(entries) {
    this.#contacts = new Map(entries.map((entry) => [String(entry.user.id), entry]));
  }

  /** All contacts who are online now. Those who aren't listed went offline while there was no connection. @param {Doorbell.Presence[]} online */
  #replaceOnline(online) {
    const listed = new Set(online.map((entry) => String(entry.user.id)));
    for (const [id, entry] of this.#contacts) {
      if (entry.is_online && !listed.has(id)) this.#contacts.set(id, { ...entry, is_online: false });
      if (listed.has(id)) this.#contacts.delete(id); // the full state is current, whatever version is known
    }
    this.merge(online);
    return true;
  }
}
