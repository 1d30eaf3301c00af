// What joins toasts to a client: shown is what it says is new, closed what was read or removed anywhere, and what is
// opened has been read, as in the bell.

/**
 * @param {HTMLElement & {show(toast: DoorbellToast.Toast): void, dismiss(id: number): void}} toasts
 * @param {DoorbellToast.Client} client
 * @returns {() => void} ends it
 */
export function follow(toasts, client) {
  const ending = new AbortController();
  /** @type {(target: EventTarget, type: string, listener: (detail: any) => void) => void} */
  const on = (target, type, listener) => {
    target.addEventListener(type, (event) => listener(/** @type {CustomEvent} */ (event).detail), { signal: ending.signal });
  };
  on(client, "toast", (toast) => toasts.show(toast));
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
  return () => ending.abort();
}
