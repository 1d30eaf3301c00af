// A SharedStream under test, with locks, channels and a clock in memory. Its own stream records its calls, and a peer posts to
// the channel what another tab would.

import { SharedStream } from "../../static/client/tabs/shared-stream.js";
import { FakePageLifecycle } from "../../static/client/testing/fake-browser.js";
import { FakeChannels } from "../../static/client/testing/fake-channels.js";
import { FakeClock } from "../../static/client/testing/fake-clock.js";
import { FakeLocks } from "../../static/client/testing/fake-locks.js";

export const NAME = "inbox of ada";

/** A tab's event loop, whose tasks can be held back by source, as in a busy or frozen tab. */
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

  /** Discards the tasks that are held back. @param {string} source */
  discard(source) {
    this.#held.delete(source);
  }
}

/** @implements {Doorbell.Stream} */
class RecordingStream extends EventTarget {
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
  connectionId: "c1",
  state: { state: "connected", code: null, reason: "", retryIn: null, ...state },
});

/** @param {number} revision @returns {Doorbell.InboxFrame} */
export const live = (revision) => ({ type: "inbox", revision, unread_count: 0, replayed: false });

/** @param {number} revision @returns {Doorbell.SyncedFrame} */
export const synced = (revision) => ({ type: "synced", revision, unread_count: 0 });

export class FakeTabs {
  clock = new FakeClock();
  locks = new FakeLocks();
  channels = new FakeChannels();

  /**
   * A tab that hasn't started.
   * @param {string} name
   * @param {{position?: Doorbell.Position | null, name?: (signal: AbortSignal, isResuming: boolean) => Promise<string | null>}} [options]
   */
  tab(name, { position = null, name: nameOf = async () => NAME } = {}) {
    const loop = new Loop(name);
    const lifecycle = new FakePageLifecycle();
    /** What the client has applied. */
    const applied = { position, snapshot: /** @type {Doorbell.Snapshot | null} */ (null) };
    let own = new RecordingStream(() => null);
    const stream = new SharedStream({
      createStream: (from) => (own = new RecordingStream(from)),
      name: nameOf,
      position: () => applied.position,
      snapshot: () => applied.snapshot,
      lifecycle,
      clock: this.clock,
      locks: this.locks.forTab(loop),
      BroadcastChannel: this.channels.forTab(loop),
    });
    /** @type {[string, any][]} */
    const events = [];
    for (const type of ["page", "snapshot", "message", "state", "frame", "error", "role"]) {
      stream.addEventListener(type, (event) => events.push([type, /** @type {CustomEvent} */ (event).detail]));
    }
    const types = () => events.map(([type]) => type);
    /** @param {string} type */
    const details = (type) => events.filter(([name]) => name === type).map(([, detail]) => detail);
    return { stream, own, loop, lifecycle, applied, events, types, details };
  }

  /** Another tab, of which only messages and lock are simulated. */
  peer(name = "peer") {
    const loop = new Loop(name);
    const channel = new (this.channels.forTab(loop))(NAME);
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
    const manager = this.locks.forTab(loop);
    /** @param {{steal?: boolean}} [options] */
    const takeLock = (options = {}) => {
      const held = new Promise((resolve) => (release = () => resolve(undefined)));
      manager.request(NAME, options, () => /** @type {Promise<void>} */ (held)).catch(() => {});
    };
    return { takeLock, releaseLock: () => release() };
  }
}
