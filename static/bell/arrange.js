// What the bell says, as plain values: no DOM.

const MOST = 99;

/**
 * Unread first, each half newest first.
 * @template {{id: number, is_read: boolean}} T
 * @param {T[]} items
 */
export function unreadFirst(items) {
  return items.toSorted((a, b) => Number(a.is_read) - Number(b.is_read) || b.id - a.id);
}

/** @param {number} count */
export function badgeText(count) {
  return count > MOST ? `${MOST}+` : String(count);
}

/** @param {number} count */
export function spokenCount(count) {
  return count === 0 ? "Notifications, none unread" : `Notifications, ${count} unread`;
}

/**
 * A window's title with the count in front, in place of the one it may have.
 * @param {string} title
 * @param {number} count
 */
export function titled(title, count) {
  const plain = title.replace(/^\(\d+\+?\) /, "");
  return count > 0 ? `(${count}) ${plain}` : plain;
}
