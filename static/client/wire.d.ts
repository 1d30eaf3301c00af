// Made by `make contract` from the server's models (realtime/protocol.py, messaging/schemas.py): don't edit.
// Ambient, as types.d.ts is, which says why.

declare namespace Doorbell {
  // Both ---------------------------------------------------------------------------------------------------------------

  /** What a notification offers to do: a link, or a POST to the server by the user. */
  interface Action {
    label: string;
    url: string;
    method: "GET" | "POST";
  }

  /** `icon` and `actions` are its type's, and left out where it has none of its own. */
  interface Notification {
    id: number;
    notification_type: string;
    title: string;
    description: string;
    level: "info" | "success" | "warning" | "error";
    is_read: boolean;
    created_at: string;
    actor: User | null;
    message_id: number | null;
    url: string | null;
    data: Record<string, unknown> | null;
    group: string | null;
    count: number;
    icon?: string;
    actions?: Action[];
  }

  interface Presence {
    user: User;
    is_online: boolean;
    last_seen: string | null;
    version: number;
  }

  /** `id`: an integer, or a text where the project's keys are no integers, or ones that JavaScript would round. */
  interface User {
    id: number | string;
    username: string;
  }

  // Server to client ---------------------------------------------------------------------------------------------------

  interface HelloFrame {
    type: "hello";
    protocol: 1;
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
    reason: "new_epoch" | "unknown_revision" | "history_removed" | "too_far_behind";
  }

  interface PresenceFrame {
    type: "presence";
    user: User;
    is_online: boolean;
    last_seen: string | null;
    version: number;
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
    code: "bad_json" | "unknown_type" | "bad_request" | "not_allowed";
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

  // Client to server ---------------------------------------------------------------------------------------------------

  /** A `since` that is no revision is answered with a reset, not with an error. The `ref` only an error echoes. */
  interface ResumeCommand {
    type: "resume";
    since: number;
    epoch?: string | null;
    ref?: string | null;
  }

  interface PingCommand {
    type: "ping";
    ref: string;
  }

  type Command = ResumeCommand | PingCommand;

  type CloseCode = 1009 | 1011 | 1012 | 4000 | 4001 | 4002 | 4500 | 4501 | 4502 | 4503;

  // HTTP ---------------------------------------------------------------------------------------------------------------

  interface Block {
    user: User;
    created_at: string;
  }

  interface Blocks {
    items: Block[];
    next: number | null;
  }

  interface Chosen {
    ids: number[];
  }

  /** Either `ids` or `all`. */
  interface ChosenOrAll {
    ids?: number[];
    all?: true;
  }

  interface Credentials {
    username: string;
    password: string;
  }

  /** `index`: the item's place among those published, from 0. */
  interface ItemProblem {
    detail: string;
    code: string;
    index: number;
  }

  /** `ids` were changed by this call; `revision` includes the change. */
  interface Marked {
    revision: number;
    unread_count: number;
    ids: number[];
  }

  /** What a notification of a group stands for, itself included. */
  interface Members {
    items: Notification[];
    next: number | null;
  }

  interface Message {
    id: number;
    sender: User;
    receiver: User;
    content: string;
    timestamp: string;
    is_read: boolean;
  }

  /** `with` is a username, `with_id` an id; with both, the name has to be that of the id. */
  interface MessagePage {
    before?: number;
    limit?: number;
    with?: string;
    with_id?: string;
  }

  interface Messages {
    items: Message[];
    next: number | null;
  }

  /** Either `username` or `user_id`. */
  interface NewBlock {
    username?: string;
    user_id?: number | string;
  }

  /** Either `receiver`, a username, or `receiver_id`. */
  interface NewMessage {
    receiver?: string;
    receiver_id?: number | string;
    content: string;
  }

  /** Either `user`, the name with which they sign in, or `user_id`. With an `idempotency_key` a token's second try makes nothing new. */
  interface NewNotification {
    user?: string;
    user_id?: number | string;
    notification_type: string;
    title?: string;
    description?: string;
    level?: "info" | "success" | "warning" | "error" | null;
    url?: string | null;
    idempotency_key?: string | null;
    data?: Record<string, unknown> | null;
  }

  interface NewNotifications {
    items: NewNotification[];
    atomic?: boolean;
  }

  interface NothingPublished {
    detail: string;
    code: string;
    errors: ItemProblem[];
  }

  interface NotificationPage {
    before?: number;
    limit?: number;
    unread?: boolean;
    notification_type?: string;
    group?: string;
  }

  /** `items` may be newer than `revision`, never older. */
  interface Notifications {
    items: Notification[];
    next: number | null;
    epoch: string;
    revision: number;
    unread_count: number;
  }

  /** A list is read newest first. `before` is the last answer's `next`. */
  interface Page {
    before?: number;
    limit?: number;
  }

  interface Presences {
    items: Presence[];
  }

  /** Any answer that isn't a success: `detail` is for people, `code` for programs. */
  interface Problem {
    detail: string;
    code: string;
  }

  /** `is_hidden`: contacts see the user as offline and never seen. `language`, `timezone`: empty for the server's. */
  interface Profile {
    user: User;
    is_hidden: boolean;
    language: string;
    timezone: string;
  }

  /** At least one of these; what isn't given stays as it is. */
  interface ProfileChange {
    is_hidden?: boolean;
    language?: string;
    timezone?: string;
  }

  interface PublishOptions {
    strict?: boolean;
  }

  /** How many were made, how many had been made before, and what is wrong with the others. */
  interface Published {
    created: number;
    duplicates: number;
    errors: ItemProblem[];
  }

  /** Who is signed in, and the token that unsafe calls send in the header `csrf_header`. */
  interface Session {
    user: User | null;
    csrf_token: string;
    csrf_header: string;
  }

  interface Ticket {
    ticket: string;
    expires_in: number;
  }

  interface UserPage {
    before?: number;
    limit?: number;
    search?: string;
  }

  interface Users {
    items: User[];
    next: number | string | null;
  }
}
