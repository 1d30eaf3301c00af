// What the bell expects of its client. Ambient, for the JSDoc in this folder; static/client's DoorbellClient implements it.

declare namespace DoorbellBell {
  interface Notification {
    id: number;
    notification_type?: string;
    title: string;
    description?: string;
    level?: "info" | "success" | "warning" | "error";
    is_read: boolean;
    created_at: string;
    actor?: { username: string } | null;
    message_id?: number | null;
    url?: string | null;
    /** The name of an icon, see elements/icons.js. */
    icon?: string;
    actions?: { label: string; url: string; method: "GET" | "POST" }[];
    /** Desktop notifications of one replace each other. */
    group?: string | null;
  }

  /** Events: `change` (no detail needed), `toast` (detail: a Notification), `state` (detail: what `connection` is by then). */
  interface Client extends EventTarget {
    /** Left out: taken for connected. `code` and `reason`: of the last failure. */
    readonly connection?: { state: string; code: number | null; reason: string };
    inbox: {
      /** Newest first. */
      readonly items: Notification[];
      readonly unreadCount: number;
      /** Null until the list has been read: the count isn't known. */
      readonly position?: object | null;
      /** Null when there is nothing older to load. */
      readonly next: number | null;
    };
    markRead(...ids: number[]): Promise<unknown>;
    markAllRead(): Promise<unknown>;
    /** Left out: actions by POST aren't offered. */
    perform?(action: { url: string; method: "GET" | "POST" }): Promise<unknown>;
    remove(id: number): Promise<unknown>;
    loadMore(): Promise<unknown>;
  }
}
