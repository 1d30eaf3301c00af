// The shapes on the wire and in events, for the JSDoc in this folder and for editors. Ambient on purpose: a JSDoc
// type that names a module by its path is taken for a real one by Django's manifest storage.

declare namespace Doorbell {
  type Level = "info" | "success" | "warning" | "error";

  interface User {
    id: number;
    username: string;
  }

  interface Notification {
    id: number;
    notification_type: string;
    title: string;
    description: string;
    level: Level;
    is_read: boolean;
    created_at: string;
    actor: User | null;
    message_id: number | null;
    url: string | null;
  }

  interface Message {
    id: number;
    sender: User;
    receiver: User;
    content: string;
    timestamp: string;
    is_read: boolean;
  }

  interface Presence {
    user: User;
    is_online: boolean;
    last_seen: string | null;
    version: number;
  }

  // Server to client -------------------------------------------------------------------------------------------

  interface HelloFrame {
    type: "hello";
    protocol: number;
    connection_id: string;
    user: User;
    epoch: string;
    revision: number;
    unread_count: number;
    resumed: boolean;
    heartbeat_seconds: number;
    server_time: string;
  }
  interface PresenceStateFrame {
    type: "presence_state";
    online: Presence[];
  }
  interface InboxFrame {
    type: "inbox";
    revision: number;
    unread_count: number;
    replayed: boolean;
    added?: Notification[];
    read?: number[];
    unread?: number[];
    removed?: number[];
  }
  interface SyncedFrame {
    type: "synced";
    revision: number;
    unread_count: number;
  }
  interface ResetFrame {
    type: "reset";
    revision: number;
    unread_count: number;
    reason: string;
  }
  interface PresenceFrame extends Presence {
    type: "presence";
  }
  interface HeartbeatFrame {
    type: "heartbeat";
    revision: number;
    unread_count: number;
    server_time: string;
  }
  interface PongFrame {
    type: "pong";
    ref: string;
  }
  interface ErrorFrame {
    type: "error";
    code: string;
    detail: string;
    ref: string | null;
  }
  type Frame =
    | HelloFrame
    | PresenceStateFrame
    | InboxFrame
    | SyncedFrame
    | ResetFrame
    | PresenceFrame
    | HeartbeatFrame
    | PongFrame
    | ErrorFrame;

  // Client to server -------------------------------------------------------------------------------------------

  type Command = { type: "resume"; since: number; epoch?: string } | { type: "ping"; ref: string };

  // HTTP -------------------------------------------------------------------------------------------------------

  interface Session {
    user: User | null;
    csrf_token: string;
  }
  interface Page<T> {
    items: T[];
    next: number | null;
  }
  interface InboxPage extends Page<Notification> {
    epoch: string;
    revision: number;
    unread_count: number;
  }
  interface ReadAnswer {
    revision: number;
    unread_count: number;
    ids: number[];
  }

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
