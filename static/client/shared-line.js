// One browser, one connection. The tabs of one user elect a leader; it alone has a Line, and tells the others all that
// comes over it, on a BroadcastChannel, in order. To the page a SharedLine looks the same in every tab.
//
// Events: those of a Line, and `snapshot` (a Doorbell.Snapshot of the leader's state) and `role` (a Doorbell.Role).

import { Audience } from "./audience.js";
import { endOf } from "./http.js";
import { Leadership } from "./leadership.js";
import { CloseCode, FrameType } from "./protocol.js";
import { Teller } from "./teller.js";

const ASK_MS = 1_000;
/** So many questions may a leader leave unanswered. A tab that nobody sees waits longer, so that a visible one takes over. */
const PATIENCE = { visible: 3, hidden: 6 };

/** @implements {Doorbell.Line} */
export class SharedLine extends EventTarget {
  /** @type {Doorbell.Role} */
  role = "follower";

  #self = crypto.randomUUID();
  /** The tab whose word counts; null as long as none has spoken. @type {string | null} */
  #leader = null;
  #unanswered = 0;
  /** Has this tab taken the leader's state, so that what the leader tells continues it? */
  #isInStep = false;
  /** Closed down with the page, and to be opened again with it. */
  #isAway = false;
  /** Was away: what was missed is old news, so it begins with the list and not where it stood. */
  #isStale = false;
  /** A letter to itself that is on its way. @type {string | null} */
  #letter = null;
  /** Not null from start to stop. @type {AbortController | null} */
  #joining = null;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** @type {Leadership | null} */
  #leadership = null;
  /** @type {unknown} */
  #timer = null;

  #line;
  #teller;
  #name;
  #position;
  #snapshot;
  #viewer;
  #audience;
  #clock;
  #locks;
  #BroadcastChannel;

  /**
   * @param {object} options
   * @param {(position: () => Doorbell.Position | null) => Doorbell.Line} options.makeLine
   * @param {(signal: AbortSignal, isBack: boolean) => Promise<string | null>} options.name of lock and channel; null: not
   *   wanted any more. `isBack`: the page was away
   * @param {() => Doorbell.Position | null} options.position
   * @param {() => Doorbell.Snapshot | null} options.snapshot of what this tab has applied; null: nothing yet
   * @param {Doorbell.Viewer} options.viewer
   * @param {Doorbell.Clock} options.clock
   * @param {Doorbell.Locks} options.locks
   * @param {typeof globalThis.BroadcastChannel} options.BroadcastChannel
   */
  constructor({ makeLine, name, position, snapshot, viewer, clock, locks, BroadcastChannel }) {
    super();
    this.#name = name;
    this.#position = position;
    this.#snapshot = snapshot;
    this.#viewer = viewer;
    this.#clock = clock;
    this.#locks = locks;
    this.#BroadcastChannel = BroadcastChannel;
    this.#audience = new Audience({ clock });
    this.#teller = new Teller({
      confirm: async () => (await this.#leadership?.confirm()) ?? false,
      say: (telling) => this.#say(telling),
      unsure: () => this.#deposed(),
    });
    this.#line = makeLine(() => this.#teller.position ?? this.#place());
    for (const type of /** @type {const} */ (["page", "message", "state", "frame", "error"])) {
      this.#line.addEventListener(type, (event) => this.#fromLine(type, /** @type {CustomEvent} */ (event).detail));
    }
    viewer.addEventListener("look", () => this.#tellLook());
    viewer.addEventListener("leave", () => this.#sleep());
    viewer.addEventListener("return", () => this.#isAway && this.start());
  }

  // Joining and leaving ------------------------------------------------------------------------------------------

  async start() {
    if (this.#joining) return;
    const { signal } = (this.#joining = new AbortController());
    this.#viewer.watch();
    this.#isAway = false;
    if (this.#place() === null) this.#emit("state", { state: "connecting", code: null, reason: "", retryIn: null });
    try {
      const name = await this.#name(signal, this.#isStale);
      if (name !== null && !signal.aborted) this.#join(name);
    } catch (error) {
      this.#emit("error", error);
      const { code, reason } = endOf(error);
      this.stop(code, reason);
    }
  }

  /** This tab only; the others go on. */
  stop(code = /** @type {number} */ (CloseCode.NORMAL), reason = "") {
    this.#viewer.unwatch();
    this.#isAway = false;
    if (!this.#joining) return;
    this.#leave();
    this.#emit("state", { state: "disconnected", code, reason, retryIn: null });
  }

  /** @param {string} name */
  #join(name) {
    this.#channel = new this.#BroadcastChannel(name);
    this.#channel.addEventListener("message", ({ data }) => this.#hear(data));
    this.#leadership = new Leadership({ locks: this.#locks, name, clock: this.#clock });
    this.#leadership.addEventListener("elected", () => this.#elected());
    this.#leadership.addEventListener("deposed", () => this.#deposed());
    this.#leadership.addEventListener("unavailable", () => this.#goAlone());
    this.#leadership.campaign();
    this.#ask("snapshot");
    this.#timer = this.#clock.setTimeout(() => this.#tick(), ASK_MS);
  }

  #leave() {
    this.#joining?.abort();
    this.#joining = null;
    this.#post({ kind: "gone" });
    this.#follow();
    this.#clock.clearTimeout(this.#timer);
    this.#leadership?.resign();
    this.#leadership = null;
    this.#channel?.close();
    this.#channel = null;
    this.#leader = null;
  }

  /** The page is closed or frozen: hand over at once, rather than be found missing. */
  #sleep() {
    if (!this.#joining) return;
    this.#leave();
    this.#isAway = true;
    this.#isStale = true;
  }

  #place() {
    return this.#isStale ? null : this.#position();
  }

  // Leading ------------------------------------------------------------------------------------------------------

  /** What former leaders told may still lie unread, after a freeze even a lot of it. It reads up to a letter of its own first. */
  #elected() {
    this.#letter = crypto.randomUUID();
    const pen = new this.#BroadcastChannel(/** @type {BroadcastChannel} */ (this.#channel).name);
    pen.postMessage({ kind: "letter", letter: this.#letter, from: this.#self });
    pen.close();
  }

  #lead() {
    this.#letter = null;
    this.#leader = this.#self;
    this.#setRole("leader");
    this.#teller.tell({ kind: "lead" });
    this.#line.start();
  }

  /** Another tab found this one silent. */
  #deposed() {
    this.#leader = null;
    this.#follow();
    this.#leadership?.resign();
    this.#leadership?.campaign();
    this.#ask("snapshot");
  }

  #follow() {
    this.#setRole("follower");
    this.#teller.clear();
    this.#letter = null;
    this.#unanswered = 0;
    this.#line.stop();
  }

  /** No locks or no channel here after all: a connection of this tab's own. */
  #goAlone() {
    this.#channel?.close();
    this.#channel = null;
    this.#clock.clearTimeout(this.#timer);
    this.#setRole("alone");
    this.#line.start();
  }

  /**
   * @param {"page" | "message" | "state" | "frame" | "error"} type
   * @param {any} detail
   */
  #fromLine(type, detail) {
    if (this.role === "follower") return; // its goodbye
    if (this.role === "alone") this.#emit(type, detail);
    else if (type === "error") this.#emit(type, detail);
    else if (type === "message") this.#teller.tell({ kind: "message", frame: detail.frame });
    else if (type === "frame") this.#teller.tell({ kind: "frame", crossing: detail });
    else if (type === "page") this.#teller.tell({ kind: "page", page: detail });
    else this.#teller.tell({ kind: "state", change: detail });
  }

  /** @param {Doorbell.Telling} telling */
  #say(telling) {
    if (telling.kind === "lead" || telling.kind === "snapshot") telling.snapshot = this.#snapshot();
    if (telling.kind === "message") telling.showIn = this.#audience.choose(this.#self, this.#viewer);
    this.#post(telling);
    this.#take(telling);
  }

  // Following ----------------------------------------------------------------------------------------------------

  /** Ask the leader for its state, or only whether it is there. @param {"snapshot" | "sign of life"} what */
  #ask(what) {
    this.#post({ kind: "ask", what, look: this.#look });
  }

  #tick() {
    this.#timer = this.#clock.setTimeout(() => this.#tick(), ASK_MS);
    if (this.role !== "follower") return;
    this.#unanswered += 1;
    if (this.#unanswered <= (this.#viewer.isVisible ? PATIENCE.visible : PATIENCE.hidden)) return this.#ask("sign of life");
    this.#unanswered = 0;
    this.#leadership?.steal();
  }

  #tellLook() {
    this.#post({ kind: "look", look: this.#look });
  }

  /** A tab that has nothing to show yet can't show a toast either. @returns {Doorbell.Look} */
  get #look() {
    return { isVisible: this.#viewer.isVisible && this.#isInStep, focusedAt: this.#viewer.focusedAt };
  }

  /** @param {Doorbell.Word} word from another tab */
  #hear(word) {
    switch (word.kind) {
      case "ask":
        this.#audience.note(word.from, word.look);
        if (this.role === "leader") this.#teller.tell({ kind: word.what === "snapshot" ? "snapshot" : "alive", to: word.from });
        return;
      case "look":
        return this.#audience.note(word.from, word.look);
      case "gone":
        return this.#audience.forget(word.from);
      case "letter":
        return word.letter === this.#letter ? this.#lead() : undefined;
      case "reconnect":
        return this.role === "leader" ? this.#line.reconnect() : undefined;
      default:
        return this.#hearLeader(word);
    }
  }

  /** @param {Doorbell.Telling & {from: string}} word */
  #hearLeader(word) {
    if (word.kind === "lead" || word.kind === "snapshot" || word.kind === "alive") this.#hail(word);
    const isLeaders = word.from === this.#leader;
    if (isLeaders) this.#unanswered = 0;
    if (isLeaders && (this.#isInStep || word.kind !== "message")) this.#take(word);
    else if (word.kind === "message" && isLive(word.frame)) this.#take(word); // perhaps the last words of a former leader
  }

  /** Somebody says that it leads. @param {Doorbell.Telling & {from: string}} word */
  async #hail(word) {
    if (this.role === "leader") {
      if (!(await this.#leadership?.confirm()) && this.role === "leader") this.#deposed();
      return;
    }
    if (word.from === this.#leader) return;
    this.#leader = word.from;
    this.#isInStep = false;
    if (word.kind === "alive") this.#ask("snapshot");
  }

  /** What the leader tells, in the leader's tab as in all others. @param {Doorbell.Telling} telling */
  #take(telling) {
    if (telling.kind === "page") this.#step("page", telling.page);
    else if (telling.kind === "frame") this.#emit("frame", telling.crossing);
    else if (telling.kind === "state") this.#moved(telling.change);
    else if (telling.kind === "message") {
      this.#emit("message", { frame: telling.frame, isOurs: telling.showIn === this.#self });
    } else if (telling.kind !== "alive" && telling.snapshot && this.role === "follower") {
      if (telling.kind === "lead" || telling.to === this.#self || !this.#isInStep) this.#step("snapshot", telling.snapshot);
    }
  }

  /**
   * @param {"page" | "snapshot"} type
   * @param {unknown} whole
   */
  #step(type, whole) {
    this.#isInStep = true;
    this.#isStale = false;
    this.#emit(type, whole);
    this.#tellLook();
  }

  /** @param {Doorbell.StateChange} change */
  #moved(change) {
    if (change.state === "disconnected") {
      // Ended for good. A tab that has nothing to show yet stays, gets the lock and finds out for itself.
      if (this.role === "follower" && this.#place() === null) return;
      this.#viewer.unwatch();
      this.#leave();
    }
    this.#emit("state", change);
  }

  // On behalf of the page ----------------------------------------------------------------------------------------

  reconnect() {
    if (!this.#joining) this.start();
    else if (this.role === "follower") this.#post({ kind: "reconnect" });
    else this.#line.reconnect();
  }

  recover() {
    if (this.role !== "follower") return this.#line.recover();
    this.#isInStep = false;
    this.#ask("snapshot");
  }

  // Talking ------------------------------------------------------------------------------------------------------

  /** @param {Doorbell.Say} word */
  #post(word) {
    this.#channel?.postMessage({ ...word, from: this.#self });
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

/** One that tells by its revision whether something is missing before it. @param {Doorbell.Frame} frame */
function isLive(frame) {
  return frame.type === FrameType.INBOX && !frame.replayed;
}
