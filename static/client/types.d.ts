// The types inside the client and of its events, for the JSDoc in this folder and for editors; the types on the wire are
// in wire.d.ts. Ambient on purpose: Django's manifest storage takes a module path in a JSDoc type for a real import.

declare namespace Doorbell {
  type Level = Notification["level"];
  type InboxPage = Notifications;
  type ReadAnswer = Marked;
  type UserId = User["id"];

  // In the client ----------------------------------------------------------------------------------------------

  /** A position in the inbox's history: everything up to revision `since`, in the epoch `epoch`. */
  interface Position {
    since: number;
    epoch: string;
  }

  type State = "connecting" | "connected" | "disconnected";

  interface StateChange {
    state: State;
    /** The close code that led to this state, if there was one: while it connects again, that of the last failure. */
    code: number | null;
    /** Also why a request failed that is tried again. */
    reason: string;
    /** Milliseconds until the next attempt; null when there will be none, or none is needed. */
    retryIn: number | null;
  }

  /** One frame as it was sent or received. */
  interface TracedFrame {
    direction: "in" | "out";
    frame: Frame | Command | null;
    text: string;
    at: number;
    /** For a received frame: applied (pass), a duplicate (drop), or held back because a revision before it is missing (gap). */
    verdict: "pass" | "drop" | "gap" | null;
  }

  /** What an applied frame changed in the inbox. */
  interface InboxChange {
    added: Notification[];
    /** Those of them that are new to this client and to be shown as toasts. */
    toasts: Notification[];
    read: number[];
    removed: number[];
  }

  /** A frame to apply. Only one tab of a browser shows its toasts. */
  interface Delivery {
    frame: Frame;
    showHere: boolean;
  }

  /** The source of a client's frames: InboxStream with its own connection, or SharedStream. */
  interface Stream extends EventTarget {
    readonly role: Role;
    start(): void;
    stop(code?: number, reason?: string): void;
    /** The user asked for a new connection at once. */
    reconnect(): void;
    /** The inbox found a gap. */
    recover(): void;
  }

  // Between the tabs of one browser ----------------------------------------------------------------------------

  type Role = "alone" | "leader" | "follower";

  interface Visibility {
    isVisible: boolean;
    /** When the tab was last focused: milliseconds since 1970, comparable between tabs. */
    focusedAt: number;
  }

  interface PageLifecycle extends EventTarget, Visibility {
    observe(): void;
    unobserve(): void;
  }

  /** The whole state that a tab has applied. */
  interface Snapshot {
    page: InboxPage;
    presence: Presence[];
    user: User | null;
    connectionId: string;
    state: StateChange;
  }

  /** What the leader broadcasts, and applies itself in the same order. */
  type LeaderMessage =
    | { kind: "elected"; snapshot?: Snapshot | null }
    | { kind: "snapshot"; to: string; snapshot?: Snapshot | null }
    | { kind: "pong"; to: string }
    | { kind: "page"; page: InboxPage }
    | { kind: "frame"; frame: Frame; showIn?: string }
    | { kind: "trace"; traced: TracedFrame }
    | { kind: "state"; change: StateChange };

  type TabMessage =
    | LeaderMessage
    | { kind: "snapshot_request"; visibility: Visibility }
    | { kind: "ping"; visibility: Visibility }
    | { kind: "visibility"; visibility: Visibility }
    | { kind: "marker"; marker: string }
    | { kind: "reconnect" }
    | { kind: "leaving" };

  /** `from`: the id of the sending tab. */
  type ReceivedMessage = TabMessage & { from: string };

  /** The part of the browser's LockManager that is used. */
  interface Locks {
    request(name: string, options: { signal?: AbortSignal; steal?: boolean }, callback: () => Promise<void>): Promise<unknown>;
    query(): Promise<{ held?: { name?: string; clientId?: string }[] }>;
  }

  /** A token, or a function that is called before each request: one that expires is renewed there. */
  type Token = string | (() => string | Promise<string>);

  interface ClientOptions {
    /** The server's origin; left out: the page's own. */
    base?: string;
    /** The paths of the API and of the socket there. Left out: those that the page names (`connect`), else the default ones. */
    api?: string;
    socket?: string;
    /** An API token or the project's own: Bearer for HTTP, tickets for the socket. Left out: the session cookie. */
    token?: Token;
    /** The signed-in user. Left out: read from `GET session`, which is done with a cookie only. */
    user?: { id: UserId };
    /** One connection for all tabs of this user. Left out: shared in a page whose browser supports it. */
    share?: boolean;
    fetch?: typeof globalThis.fetch;
    WebSocket?: WebSocketClass;
    clock?: Clock;
    /** Replaces base, token and fetch for HTTP. */
    http?: any;
    locks?: Locks;
    BroadcastChannel?: typeof globalThis.BroadcastChannel;
    lifecycle?: PageLifecycle;
  }

  interface Clock {
    now(): number;
    setTimeout(callback: () => void, ms: number): unknown;
    clearTimeout(timer: any): void;
  }

  /** The part of the browser's WebSocket that is used. */
  interface WebSocketLike {
    send(text: string): void;
    close(code?: number, reason?: string): void;
    addEventListener(type: string, listener: (event: any) => void): void;
  }
  type WebSocketClass = new (url: string, protocols?: string[]) => WebSocketLike;

  interface Backoff {
    connected(): void;
    synced(): void;
    next(code: number): number;
  }
}
