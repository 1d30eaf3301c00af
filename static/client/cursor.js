// How far one connection has told its story, and whether a frame continues it. Pure: it decides, the socket acts.

import { FrameType } from "./protocol.js";

export class Cursor {
  /** The last revision told; null before hello on a connection that began without a position. @type {number | null} */
  revision;
  /** The history it belongs to; undefined means the server's present one. @type {string | undefined} */
  epoch;

  /** @param {Doorbell.Position | null} position where the connection was asked to go on */
  constructor(position) {
    this.revision = position?.since ?? null;
    this.epoch = position?.epoch;
  }

  /**
   * `pass`: the frame continues the story, the cursor has moved. `drop`: it was told before. `gap`: something is missing
   * between the cursor and this frame; the cursor stays, so that a resume brings both.
   * @param {Doorbell.Frame} frame
   * @returns {"pass" | "drop" | "gap"}
   */
  take(frame) {
    switch (frame.type) {
      case FrameType.HELLO:
        this.revision ??= frame.revision;
        this.epoch ??= frame.epoch;
        return "pass";
      case FrameType.INBOX: {
        const told = this.revision ?? 0;
        if (frame.revision <= told) return "drop";
        if (!frame.replayed && frame.revision !== told + 1) return "gap";
        this.revision = frame.revision;
        return "pass";
      }
      case FrameType.SYNCED:
        this.revision = frame.revision;
        return "pass";
      case FrameType.RESET:
        this.revision = frame.revision;
        this.epoch = undefined; // a new name comes with the list
        return "pass";
      case FrameType.HEARTBEAT:
        return frame.revision === this.revision ? "pass" : "gap";
      default:
        return "pass";
    }
  }
}
