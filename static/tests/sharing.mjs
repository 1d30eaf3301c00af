// One SharedLine at a time, amid locks, channels and a clock in memory: its own line and its page are stand-ins that note
// what happens to them, and a peer posts to the channel what another tab would.

import { SharedLine } from "../client/shared-line.js";
import { FakeViewer } from "../client/testing/fake-browser.js";
import { FakeChannels } from "../client/testing/fake-channels.js";
import { FakeClock } from "../client/testing/fake-clock.js";
import { FakeLocks } from "../client/testing/fake-locks.js";

export const NAME = "inbox of ada";

/** A tab whose tasks of some sources can be held up, as a busy event loop does. */
export class Loop {
  /** @type {Map<string, (() => void)[]>} */
  #held = new Map();

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  /**
   * @param {string} source
   * @param {() => void} task
   */
  run = (source, task) => void (this.#held.get(source)?.push(task) ?? task());

  /** @param {string} source "channel" or "locks" */
  hold(source) {
    this.#held.set(source, []);
  }

  /** @param {string} source */
  release(source) {
    const tasks = this.#held.get(source) ?? [];
    this.#held.delete(source);
    for (const task of tasks) task();
  }

  /** What was held up never happens. @param {string} source */
  drop(source) {
    this.#held.delete(source);
  }
}

/** @implements {Doorbell.Line} */
class RecordingLine extends EventTarget {
  /** @type {Doorbell.Role} */
  role = "alone";
  /** @type {string[]} */
  calls = [];

  /** @param {() => Doorbell.Position | null} position */
  constructor(position) {
    super();
    this.position = position;
  }

  start() {
    this.calls.push("start");
  }

  stop() {
    this.calls.push("stop");
  }

  reconnect() {
    this.calls.push("reconnect");
  }

  recover() {
    this.calls.push("recover");
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @param {number} revision @returns {Doorbell.InboxPage} */
export const page = (revision, epoch = "e1") => ({ items: [], next: null, epoch, revision, unread_count: 0 });

/** @param {number} revision @param {Partial<Doorbell.StateChange>} [state] @returns {Doorbell.Snapshot} */
export const snapshot = (revision, state = {}) => ({
  page: page(revision),
  presence: [],
  user: { id: 1, username: "ada" },
  connection: "c1",
  state: { state: "connected", code: null, reason: "", retryIn: null, ...state },
});

/** @param {number} revision @returns {Doorbell.InboxFrame} */
export const live = (revision) => ({ type: "inbox", revision, unread_count: 0, replayed: false });

/** @param {number} revision @returns {Doorbell.SyncedFrame} */
export const synced = (revision) => ({ type: "synced", revision, unread_count: 0 });

export class Sharing {
  clock = new FakeClock();
  locks = new FakeLocks();
  channels = new FakeChannels();

  /**
   * A tab that has not started.
   * @param {string} name
   * @param {{position?: Doorbell.Position | null, name?: (signal: AbortSignal, isBack: boolean) => Promise<string | null>}} [options]
   */
  tab(name, { position = null, name: nameOf = async () => NAME } = {}) {
    const loop = new Loop(name);
    const viewer = new FakeViewer();
    /** What the page has applied. */
    const state = { position, snapshot: /** @type {Doorbell.Snapshot | null} */ (null) };
    let own = new RecordingLine(() => null);
    const line = new SharedLine({
      makeLine: (from) => (own = new RecordingLine(from)),
      name: nameOf,
      position: () => state.position,
      snapshot: () => state.snapshot,
      viewer,
      clock: this.clock,
      locks: this.locks.seenFrom(loop),
      BroadcastChannel: this.channels.seenFrom(loop),
    });
    /** @type {[string, any][]} */
    const events = [];
    for (const type of ["page", "snapshot", "message", "state", "frame", "error", "role"]) {
      line.addEventListener(type, (event) => events.push([type, /** @type {CustomEvent} */ (event).detail]));
    }
    const types = () => events.map(([type]) => type);
    /** @param {string} type */
    const details = (type) => events.filter(([name]) => name === type).map(([, detail]) => detail);
    return { line, own, loop, viewer, state, events, types, details };
  }

  /** Another tab of which only the messages are seen: it may hold the lock, too. */
  peer(name = "peer") {
    const loop = new Loop(name);
    const channel = new (this.channels.seenFrom(loop))(NAME);
    /** @type {any[]} */
    const received = [];
    channel.addEventListener("message", ({ data }) => received.push(data));
    /** @param {string} kind */
    const kinds = (kind) => received.filter((message) => message.kind === kind);
    /** @param {object} message */
    const post = (message) => channel.postMessage({ from: name, ...message });
    const lock = this.#holder(loop);
    return { name, loop, received, kinds, post, ...lock };
  }

  /** @param {Loop} loop */
  #holder(loop) {
    let release = () => {};
    const manager = this.locks.seenFrom(loop);
    /** @param {{steal?: boolean}} [options] */
    const takeLock = (options = {}) => {
      const held = new Promise((resolve) => (release = () => resolve(undefined)));
      manager.request(NAME, options, () => /** @type {Promise<void>} */ (held)).catch(() => {});
    };
    return { takeLock, releaseLock: () => release() };
  }
}
