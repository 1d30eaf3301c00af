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
  }

  /** What an applied frame did to the inbox. */
  interface InboxChange {
    added: Notification[];
    /** Those of them that nobody has seen here yet. */
    toasts: Notification[];
    read: number[];
    removed: number[];
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
    next(code: number): number;
  }
}
