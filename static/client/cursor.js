// The position of one connection in the sequence of revisions, and whether a frame continues it. Pure: the socket acts on
// its verdicts.

import { FrameType } from "./protocol.js";

export class Cursor {
  /** The last revision received; null before hello on a connection that began without a position. @type {number | null} */
  revision;
  /** The epoch of that revision; undefined means the server's current one. @type {string | undefined} */
  epoch;

  /** @param {Doorbell.Position | null} position from which the connection was requested to continue */
  constructor(position) {
    this.revision = position?.since ?? null;
    this.epoch = position?.epoch;
  }

  /**
   * `pass`: the frame continues the sequence, and the cursor has advanced. `drop`: a duplicate. `gap`: a revision is missing
   * between the cursor and this frame; the cursor stays, so that a resume brings both.
   * @param {Doorbell.Frame} frame
   * @returns {"pass" | "drop" | "gap"}
   */
  advance(frame) {
    switch (frame.type) {
      case FrameType.HELLO:
        this.revision ??= frame.revision;
        this.epoch ??= frame.epoch;
        return "pass";
      case FrameType.INBOX: {
        const last = this.revision ?? 0;
        if (frame.revision <= last) return "drop";
        if (!frame.replayed && frame.revision !== last + 1) return "gap";
        this.revision = frame.revision;
        return "pass";
      }
      case FrameType.SYNCED:
        this.revision = frame.revision;
        return "pass";
      case FrameType.RESET:
        this.revision = frame.revision;
        this.epoch = undefined; // the new epoch comes with the list
        return "pass";
      case FrameType.HEARTBEAT:
        return frame.revision === this.revision ? "pass" : "gap";
      default:
        return "pass";
    }
  }
}
