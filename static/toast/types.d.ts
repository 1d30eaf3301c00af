// What a toast is. Ambient, for the JSDoc in this folder; the client's notifications have this shape already.

declare namespace DoorbellToast {
  interface Toast {
    /** A second toast with the same id takes the place of the first. */
    id: number | string;
    title: string;
    description?: string;
    level?: "info" | "success" | "warning" | "error";
    /** Where the action leads; only http(s) and relative addresses are taken. */
    url?: string | null;
    /** What the action is called; "Open" unless said otherwise. */
    action?: string;
    /** ISO 8601; shown as "just now", "5 min. ago". */
    created_at?: string;
    actor?: { username: string } | null;
  }

  /** Tells by the events `toast` (detail: a Toast) and `change` (detail: which ids were `read` and `removed`). */
  interface Client extends EventTarget {
    inbox: { readonly items: { id: number; is_read: boolean }[] };
    markRead(...ids: number[]): Promise<unknown>;
  }
}
