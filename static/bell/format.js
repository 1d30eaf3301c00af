// Order, labels and title of the bell, as plain values: no DOM.

const MAX_BADGE = 99;

/**
 * Unread rows first, then the read ones; both newest first.
 * @template {{id: number, is_read: boolean}} T
 * @param {T[]} items
 */
export function unreadFirst(items) {
  return [...items].sort((a, b) => Number(a.is_read) - Number(b.is_read) || b.id - a.id);
}

/** @param {number} count */
export function badgeText(count) {
  return count > MAX_BADGE ? `${MAX_BADGE}+` : String(count);
}

/**
 * The accessible name.
 * @param {number | null} count null: not known
 * @param {string} [state] said after it
 */
export function countLabel(count, state = "") {
  const counted = count === null ? "" : count === 0 ? "none unread" : `${count} unread`;
  return ["Notifications", counted, state].filter(Boolean).join(", ");
}

/**
 * A window's title with the count in front, which replaces an earlier count.
 * @param {string} title
 * @param {number} count
 */
export function withCount(title, count) {
  const plain = title.replace(/^\(\d+\+?\) /, "");
  return count > 0 ? `(${count}) ${plain}` : plain;
}
