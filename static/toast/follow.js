// Connects toasts to a client: shows what the client reports as new, closes what was read or removed anywhere, and marks as
// read what is opened, as the bell does.

/** What is connected by `follow`, which has no client of its own. @type {WeakSet<HTMLElement>} */
const followed = new WeakSet();

/** @param {HTMLElement} toasts */
export function isFollowed(toasts) {
  return followed.has(toasts);
}

/**
 * @param {HTMLElement & {show(toast: DoorbellToast.Toast): void, dismiss(id: number): void}} toasts
 * @param {DoorbellToast.Client} client
 * @param {object} [options]
 * @param {(toast: any) => DoorbellToast.Toast | null} [options.decorate] returns what is shown for a notification: with another
 *   link or label, for instance. It must keep the `id`. Null: no toast, for what the page shows already.
 * @returns {() => void} disconnects them
 */
export function follow(toasts, client, { decorate = (toast) => toast } = {}) {
  followed.add(toasts);
  const following = new AbortController();
  /** @type {(target: EventTarget, type: string, listener: (detail: any) => void) => void} */
  const on = (target, type, listener) => {
    target.addEventListener(type, (event) => listener(/** @type {CustomEvent} */ (event).detail), { signal: following.signal });
  };
  on(client, "toast", (row) => {
    const toast = decorate(row);
    if (toast) toasts.show(toast);
  });
  on(client, "change", ({ read, removed }) => [...read, ...removed].forEach((id) => toasts.dismiss(id)));
  on(toasts, "toast-open", async ({ id }) => {
    const row = client.inbox.items.find((item) => item.id === id);
    if (!row || row.is_read) return;
    try {
      await client.markRead(row.id);
    } catch (error) {
      toasts.dispatchEvent(new CustomEvent("notification-error", { detail: error, bubbles: true }));
    }
  });
  return () => following.abort();
}
