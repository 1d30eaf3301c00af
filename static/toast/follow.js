// Connects toasts to a client: shows what the client reports as new, closes what was read or removed anywhere, and marks as
// read what is opened, as the bell does.

/** What is followed, also by toasts that have no client of their own. @type {WeakMap<HTMLElement, DoorbellToast.Client>} */
const followed = new WeakMap();

/** @param {HTMLElement} toasts */
export function followedBy(toasts) {
  return followed.get(toasts) ?? null;
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
  followed.set(toasts, client);
  const following = new AbortController();
  /** @type {(target: EventTarget, type: string, listener: (detail: any) => void) => void} */
  const on = (target, type, listener) => {
    target.addEventListener(type, (event) => listener(/** @type {CustomEvent} */ (event).detail), { signal: following.signal });
  };
  on(client, "toast", (row) => {
    const toast = decorate(row);
    if (toast) toasts.show(toast);
  });
  // After the toasts of the same frame: of a group's, the new one takes the place of the one that leaves.
  on(client, "change", ({ read, removed }) => queueMicrotask(() => [...read, ...removed].forEach((id) => toasts.dismiss(id))));
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
