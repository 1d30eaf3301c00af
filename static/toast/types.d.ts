// The shape of a toast. Ambient, for the JSDoc in this folder; the client's notifications have this shape.

declare namespace DoorbellToast {
  interface Toast {
    /** A second toast with the same id replaces the first. */
    id: number | string;
    title: string;
    description?: string;
    level?: "info" | "success" | "warning" | "error";
    /** The action's link; only http(s) and relative URLs are accepted. */
    url?: string | null;
    /** The action's label; left out: "Open". */
    action?: string;
    /** ISO 8601; shown as "just now", "5 min. ago". */
    created_at?: string;
    actor?: { username: string } | null;
    notification_type?: string;
    /** The name of an icon, see elements/icons.js. */
    icon?: string;
    /** What the notification offers to do; two at most. By POST: only where a client is followed. */
    actions?: { label: string; url: string; method: "GET" | "POST" }[];
    /** A toast of the same group, and type, replaces the other in its place. */
    group?: string | null;
  }

  /** Events: `toast` (detail: a Toast) and `change` (detail: the ids that were `read` and `removed`). */
  interface Client extends EventTarget {
    inbox: { readonly items: { id: number; is_read: boolean }[] };
    markRead(...ids: number[]): Promise<unknown>;
    perform?(action: { url: string; method: "GET" | "POST" }): Promise<unknown>;
  }
}
