// What a toast is. Ambient, for the JSDoc in this folder; the client's notifications have this shape already.

declare namespace DoorbellToast {
  interface Toast {
    /** A second toast with the same id takes the place of the first. */
    id: number | string;
    title: string;
    description?: string;
    level?: "info" | "success" | "warning" | "error";
    /** Where "Open" leads; only http(s) and relative addresses are taken. */
    url?: string | null;
    actor?: { username: string } | null;
  }
}
