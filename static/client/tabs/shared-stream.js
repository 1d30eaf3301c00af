// One connection per browser. The tabs of one user elect a leader; only the leader has an InboxStream, and it broadcasts
// all that the stream emits to the other tabs on a BroadcastChannel, in order. A SharedStream has the same interface in
// every tab.
//
// Events: those of an InboxStream, and `snapshot` (a Doorbell.Snapshot of the leader's state) and `role` (a Doorbell.Role).

import { closeDetails, failureReason } from "../http.js";
import { CloseCode, FrameType } from "../protocol.js";
import { LeaderElection } from "./leader-election.js";
import { LeaderOutbox } from "./leader-outbox.js";
import { TabVisibility } from "./tab-visibility.js";

const PING_INTERVAL_MS = 1_000;
/** A follower steals the lock after this many unanswered pings. A hidden tab waits longer, so that a visible one takes over. */
const MAX_MISSED_PINGS = { visible: 3, hidden: 6 };

/** @implements {Doorbell.Stream} */
export class SharedStream extends EventTarget {
  /** @type {Doorbell.Role} */
  role = "follower";

  #tabId = crypto.randomUUID();
  /** The tab that leads, as far as this tab knows. @type {string | null} */
  #leaderId = null;
  #missedPings = 0;
  /** Whether this tab has applied the leader's snapshot, so that the leader's messages continue from it. */
  #isInSync = false;
  /** Suspended with the page, and to be started again when the page resumes. */
  #isSuspended = false;
  /** Was suspended: what was missed is old news, so it starts with the list and not from its old position. */
  #needsList = false;
  /** The marker that this tab has posted to itself and not received yet. @type {string | null} */
  #marker = null;
  /** Aborted at stop; null when not started. @type {AbortController | null} */
  #lifetime = null;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** @type {LeaderElection | null} */
  #election = null;
  /** @type {unknown} */
  #pingTimer = null;

  #stream;
  #outbox;
  #name;
  #position;
  #snapshot;
  #lifecycle;
  #tabVisibility;
  #clock;
  #locks;
  #BroadcastChannel;

  /**
   * @param {object} options
   * @param {(position: () => Doorbell.Position | null) => Doorbell.Stream} options.createStream
   * @param {(signal: AbortSignal, isResuming: boolean, onFailure: (error: unknown) => void) => Promise<string | null>} options.name
   *   of lock and channel; null: aborted or not allowed. `isResuming`: the page was suspended
   * @param {() => Doorbell.Position | null} options.position
   * @param {() => Doorbell.Snapshot | null} options.snapshot of what this tab has applied; null: nothing yet
   * @param {Doorbell.PageLifecycle} options.lifecycle
   * @param {Doorbell.Clock} options.clock
   * @param {Doorbell.Locks} options.locks
   * @param {typeof globalThis.BroadcastChannel} options.BroadcastChannel
   */
  constructor({ createStream, name, position, snapshot, lifecycle, clock, locks, BroadcastChannel }) {
    super();
    this.#name = name;
    this.#position = position;
    this.#snapshot = snapshot;
    this.#lifecycle = lifecycle;
    this.#clock = clock;
    this.#locks = locks;
    this.#BroadcastChannel = BroadcastChannel;
    this.#tabVisibility = new TabVisibility({ clock });
    this.#outbox = new LeaderOutbox({
      confirm: async () => (await this.#election?.confirm()) ?? false,
      broadcast: (message) => this.#broadcast(message),
      onLeadershipLost: () => this.#stepDown(),
    });
    this.#stream = createStream(() => this.#outbox.position ?? this.#startPosition());
    for (const type of /** @type {const} */ (["page", "message", "state", "frame", "error"])) {
      this.#stream.addEventListener(type, (event) => this.#handleStreamEvent(type, /** @type {CustomEvent} */ (event).detail));
    }
    lifecycle.addEventListener("visibility", () => this.#postVisibility());
    lifecycle.addEventListener("suspend", () => this.#suspend());
    lifecycle.addEventListener("resume", () => this.#isSuspended && this.start());
  }

  // Joining and leaving ------------------------------------------------------------------------------------------

  async start() {
    if (this.#lifetime) return;
    const { signal } = (this.#lifetime = new AbortController());
    this.#lifecycle.observe();
    this.#isSuspended = false;
    if (this.#startPosition() === null) this.#emit("state", { state: "connecting", code: null, reason: "", retryIn: null });
    try {
      const name = await this.#name(signal, this.#needsList, (error) => this.#handleFailure(error));
      if (name !== null && !signal.aborted) this.#join(name);
    } catch (error) {
      this.#emit("error", error);
      const { code, reason } = closeDetails(error);
      this.stop(code, reason);
    }
  }

  /** The name isn't known yet; it is asked for again. @param {unknown} error */
  #handleFailure(error) {
    if (this.#startPosition() === null) this.#emit("state", { state: "connecting", code: null, reason: failureReason(error), retryIn: null });
  }

  /** Stops this tab only; the other tabs continue. */
  stop(code = /** @type {number} */ (CloseCode.NORMAL), reason = "") {
    this.#lifecycle.unobserve();
    this.#isSuspended = false;
    if (!this.#lifetime) return;
    this.#leave();
    this.#emit("state", { state: "disconnected", code, reason, retryIn: null });
  }

  /** @param {string} name */
  #join(name) {
    this.#channel = new this.#BroadcastChannel(name);
    this.#channel.addEventListener("message", ({ data }) => this.#handleMessage(data));
    this.#election = new LeaderElection({ locks: this.#locks, name, clock: this.#clock });
    this.#election.addEventListener("elected", () => this.#postMarker());
    this.#election.addEventListener("deposed", () => this.#stepDown());
    this.#election.addEventListener("unavailable", () => this.#becomeAlone());
    this.#election.campaign();
    this.#requestSnapshot();
    this.#pingTimer = this.#clock.setTimeout(() => this.#pingLeader(), PING_INTERVAL_MS);
  }

  #leave() {
    this.#lifetime?.abort();
    this.#lifetime = null;
    this.#post({ kind: "leaving" });
    this.#becomeFollower();
    this.#clock.clearTimeout(this.#pingTimer);
    this.#election?.resign();
    this.#election = null;
    this.#channel?.close();
    this.#channel = null;
    this.#leaderId = null;
  }

  /** The page is being closed or frozen: hand over at once, so that no other tab has to detect a missing leader. */
  #suspend() {
    if (!this.#lifetime) return;
    this.#leave();
    this.#isSuspended = true;
    this.#needsList = true;
  }

  #startPosition() {
    return this.#needsList ? null : this.#position();
  }

  // Leading ------------------------------------------------------------------------------------------------------

  /**
   * Before leading, post a marker to this tab itself and wait for it: every earlier message of former leaders has then
   * been handled. Many may still be queued here, above all after a freeze.
   */
  #postMarker() {
    this.#marker = crypto.randomUUID();
    // A channel doesn't deliver to the object that posted, so the marker is posted by a second one.
    const markerChannel = new this.#BroadcastChannel(/** @type {BroadcastChannel} */ (this.#channel).name);
    markerChannel.postMessage({ kind: "marker", marker: this.#marker, from: this.#tabId });
    markerChannel.close();
  }

  #becomeLeader() {
    this.#marker = null;
    this.#leaderId = this.#tabId;
    this.#setRole("leader");
    this.#outbox.enqueue({ kind: "elected" });
    this.#stream.start();
  }

  /** Another tab has stolen the lock: follow it, and queue for the lock again. */
  #stepDown() {
    this.#leaderId = null;
    this.#becomeFollower();
    this.#election?.resign();
    this.#election?.campaign();
    this.#requestSnapshot();
  }

  #becomeFollower() {
    this.#setRole("follower");
    this.#outbox.clear();
    this.#marker = null;
    this.#missedPings = 0;
    this.#stream.stop();
  }

  /** Locks turned out to be refused here: this tab uses a connection of its own. */
  #becomeAlone() {
    this.#channel?.close();
    this.#channel = null;
    this.#clock.clearTimeout(this.#pingTimer);
    this.#setRole("alone");
    this.#stream.start();
  }

  /**
   * @param {"page" | "message" | "state" | "frame" | "error"} type
   * @param {any} detail
   */
  #handleStreamEvent(type, detail) {
    if (this.role === "follower") return; // the stream's last state, as it is stopped
    if (this.role === "alone" || type === "error") this.#emit(type, detail);
    else if (type === "message") this.#outbox.enqueue({ kind: "frame", frame: detail.frame });
    else if (type === "frame") this.#outbox.enqueue({ kind: "trace", traced: detail });
    else if (type === "page") this.#outbox.enqueue({ kind: "page", page: detail });
    else this.#outbox.enqueue({ kind: "state", change: detail });
  }

  /** @param {Doorbell.LeaderMessage} message */
  #broadcast(message) {
    if (message.kind === "elected" || message.kind === "snapshot") message.snapshot = this.#snapshot();
    if (message.kind === "frame") message.showIn = this.#tabVisibility.chooseToastTab(this.#tabId, this.#lifecycle);
    this.#post(message);
    this.#apply(message);
  }

  // Following ----------------------------------------------------------------------------------------------------

  #requestSnapshot() {
    this.#post({ kind: "snapshot_request", visibility: this.#visibility });
  }

  /** Once a second. Steals the lock from a leader that hasn't answered for too long. */
  #pingLeader() {
    this.#pingTimer = this.#clock.setTimeout(() => this.#pingLeader(), PING_INTERVAL_MS);
    if (this.role !== "follower") return;
    this.#missedPings += 1;
    const isAllowed = this.#missedPings <= (this.#lifecycle.isVisible ? MAX_MISSED_PINGS.visible : MAX_MISSED_PINGS.hidden);
    if (isAllowed) return this.#post({ kind: "ping", visibility: this.#visibility });
    this.#missedPings = 0;
    this.#election?.steal();
  }

  #postVisibility() {
    this.#post({ kind: "visibility", visibility: this.#visibility });
  }

  /** A tab without a snapshot counts as hidden: it has no inbox yet in which to show a toast. @returns {Doorbell.Visibility} */
  get #visibility() {
    return { isVisible: this.#lifecycle.isVisible && this.#isInSync, focusedAt: this.#lifecycle.focusedAt };
  }

  /** @param {Doorbell.ReceivedMessage} message from another tab */
  #handleMessage(message) {
    switch (message.kind) {
      case "ping":
      case "snapshot_request":
        this.#tabVisibility.record(message.from, message.visibility);
        if (this.role === "leader") this.#outbox.enqueue({ kind: message.kind === "ping" ? "pong" : "snapshot", to: message.from });
        return;
      case "visibility":
        return this.#tabVisibility.record(message.from, message.visibility);
      case "leaving":
        return this.#tabVisibility.remove(message.from);
      case "marker":
        return message.marker === this.#marker ? this.#becomeLeader() : undefined;
      case "reconnect":
        return this.role === "leader" ? this.#stream.reconnect() : undefined;
      default:
        return this.#handleLeaderMessage(message);
    }
  }

  /** @param {Doorbell.LeaderMessage & {from: string}} message */
  #handleLeaderMessage(message) {
    if (message.kind === "elected" || message.kind === "snapshot" || message.kind === "pong") this.#onLeaderAnnounced(message);
    const isFromLeader = message.from === this.#leaderId;
    if (isFromLeader) this.#missedPings = 0;
    if (isFromLeader && (this.#isInSync || message.kind !== "frame")) this.#apply(message);
    // A former leader's last frames may arrive after its successor's first message.
    else if (message.kind === "frame" && isLive(message.frame)) this.#apply(message);
  }

  /** A message that only a leader sends. @param {Doorbell.LeaderMessage & {from: string}} message */
  async #onLeaderAnnounced(message) {
    if (this.role === "leader") {
      if (!(await this.#election?.confirm()) && this.role === "leader") this.#stepDown();
      return;
    }
    if (message.from === this.#leaderId) return;
    this.#leaderId = message.from;
    this.#isInSync = false;
    if (message.kind === "pong") this.#requestSnapshot();
  }

  /** Applies a leader's message, in the leader's own tab as in all others. @param {Doorbell.LeaderMessage} message */
  #apply(message) {
    if (message.kind === "page") this.#synchronize("page", message.page);
    else if (message.kind === "trace") this.#emit("frame", message.traced);
    else if (message.kind === "state") this.#handleStateChange(message.change);
    else if (message.kind === "frame") {
      this.#emit("message", { frame: message.frame, showHere: message.showIn === this.#tabId });
    } else if (message.kind !== "pong" && message.snapshot && this.role === "follower") {
      if (message.kind === "elected" || message.to === this.#tabId || !this.#isInSync) {
        this.#synchronize("snapshot", message.snapshot);
      }
    }
  }

  /**
   * @param {"page" | "snapshot"} type
   * @param {unknown} state the whole state
   */
  #synchronize(type, state) {
    this.#isInSync = true;
    this.#needsList = false;
    this.#emit(type, state);
    this.#postVisibility();
  }

  /** @param {Doorbell.StateChange} change */
  #handleStateChange(change) {
    if (change.state === "disconnected") {
      // Final. A tab that has nothing to show yet stays, gets the lock and learns the reason from the server itself.
      if (this.role === "follower" && this.#startPosition() === null) return;
      this.#lifecycle.unobserve();
      this.#leave();
    }
    this.#emit("state", change);
  }

  // Requests of the page -----------------------------------------------------------------------------------------

  reconnect() {
    if (!this.#lifetime) this.start();
    else if (this.role === "follower") this.#post({ kind: "reconnect" });
    else this.#stream.reconnect();
  }

  recover() {
    if (this.role !== "follower") return this.#stream.recover();
    this.#isInSync = false;
    this.#requestSnapshot();
  }

  // Output -------------------------------------------------------------------------------------------------------

  /** @param {Doorbell.TabMessage} message */
  #post(message) {
    this.#channel?.postMessage({ ...message, from: this.#tabId });
  }

  /** @param {Doorbell.Role} role */
  #setRole(role) {
    if (role === this.role) return;
    this.role = role;
    this.#emit("role", role);
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Whether a frame shows by its revision that something before it is missing. @param {Doorbell.Frame} frame */
function isLive(frame) {
  return frame.type === FrameType.INBOX && !frame.replayed;
}
