// Order, labels and title of the bell, as plain values: no DOM.

import { ENGLISH } from "../elements/labels.js";

const MAX_BADGE = 99;

/**
 * Unread rows first, then the read ones; both newest first.
 * @template {{id: number, is_read: boolean}} T
 * @param {T[]} items
 */
export function unreadFirst(items) {
  return [...items].sort((a, b) => Number(a.is_read) - Number(b.is_read) || b.id - a.id);
}

/**
 * @param {number} count
 * @param {Pick<import("../elements/labels.js").Labels, "locale" | "t">} [labels]
 */
export function badgeText(count, { locale, t } = ENGLISH) {
  return count > MAX_BADGE ? t("badgeFull", { count: MAX_BADGE }) : count.toLocaleString(locale);
}

/**
 * The accessible name.
 * @param {number | null} count null: not known
 * @param {string} [state] said after it
 * @param {import("../elements/labels.js").Translate} [t]
 */
export function countLabel(count, state = "", t = ENGLISH.t) {
  const counted = count === null ? "" : count === 0 ? t("noneUnread") : t("unread", { count });
  return [t("notifications"), counted, state].filter(Boolean).join(t("separator"));
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
