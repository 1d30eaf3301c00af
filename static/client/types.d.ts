// The shapes inside the client and in its events, for the JSDoc in this folder and for editors; those on the wire are in
// wire.d.ts. Ambient on purpose: a JSDoc type that names a module by its path is taken for a real one by Django's
// manifest storage.

declare namespace Doorbell {
  type Level = Notification["level"];
  type InboxPage = Notifications;
  type ReadAnswer = Marked;

  // In the client ----------------------------------------------------------------------------------------------

  /** How far a client has come: everything up to `since`, in the history called `epoch`. */
  interface Position {
    since: number;
    epoch: string;
  }

  type State = "connecting" | "connected" | "disconnected";

  interface StateChange {
    state: State;
    /** The close code that led here, if one did. */
    code: number | null;
    reason: string;
    /** Milliseconds until the next try; null when there will be none, or none is needed. */
    retryIn: number | null;
  }

  /** One frame as it crossed the wire. */
  interface Crossing {
    direction: "in" | "out";
    frame: Frame | Command | null;
    text: string;
    at: number;
    /** What became of a frame that came in: applied, known already, or put off because something before it is missing. */
    verdict: "pass" | "drop" | "gap" | null;
  }

  /** What an applied frame did to the inbox. */
  interface InboxChange {
    added: Notification[];
    /** Those of them that nobody has seen here yet. */
    toasts: Notification[];
    read: number[];
    removed: number[];
  }

  /** A frame to apply. Only one tab of a browser shows what is new in it. */
  interface Delivery {
    frame: Frame;
    isOurs: boolean;
  }

  /** What brings frames: a connection of one's own, or a share in one. */
  interface Line extends EventTarget {
    readonly role: Role;
    start(): void;
    stop(code?: number, reason?: string): void;
    /** The user wants a new connection, now. */
    reconnect(): void;
    /** The inbox found a gap. */
    recover(): void;
  }

  // Between the tabs of one browser ----------------------------------------------------------------------------

  type Role = "alone" | "leader" | "follower";

  interface Look {
    isVisible: boolean;
    /** When the user last came to this tab: milliseconds since 1970, comparable between tabs. */
    focusedAt: number;
  }

  interface Viewer extends EventTarget, Look {
    watch(): void;
    unwatch(): void;
  }

  /** All that a tab has applied. */
  interface Snapshot {
    page: InboxPage;
    presence: Presence[];
    user: User | null;
    connection: string;
    state: StateChange;
  }

  /** What a leader tells, and takes itself in the same order. */
  type Telling =
    | { kind: "lead"; snapshot?: Snapshot | null }
    | { kind: "snapshot"; to: string; snapshot?: Snapshot | null }
    | { kind: "alive"; to: string }
    | { kind: "page"; page: InboxPage }
    | { kind: "message"; frame: Frame; showIn?: string }
    | { kind: "frame"; crossing: Crossing }
    | { kind: "state"; change: StateChange };

  type Say =
    | Telling
    | { kind: "ask"; what: "snapshot" | "sign of life"; look: Look }
    | { kind: "look"; look: Look }
    | { kind: "letter"; letter: string }
    | { kind: "reconnect" }
    | { kind: "gone" };

  type Word = Say & { from: string };

  /** The part of the browser's LockManager that is used. */
  interface Locks {
    request(name: string, options: { signal?: AbortSignal; steal?: boolean }, callback: () => Promise<void>): Promise<unknown>;
    query(): Promise<{ held?: { name?: string; clientId?: string }[] }>;
  }

  interface ClientOptions {
    /** The server's origin; left out: the page's own. */
    base?: string;
    /** An API token: Bearer for HTTP, tickets for the socket. Left out: the session cookie. */
    token?: string;
    /** Who is signed in. Left out: the server is asked, which it can tell from a cookie only. */
    user?: { id: number };
    /** One connection for all tabs of this user. Left out: in a page, if the browser has what it takes. */
    share?: boolean;
    fetch?: typeof globalThis.fetch;
    WebSocket?: WebSocketClass;
    clock?: Clock;
    /** Instead of base, token and fetch for HTTP. */
    http?: any;
    locks?: Locks;
    BroadcastChannel?: typeof globalThis.BroadcastChannel;
    viewer?: Viewer;
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
