// Formats durations and counts.

/** @param {number | null} ms */
export function formatDuration(ms) {
  if (ms === null) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/**
 * `pluralize(1, "row")` is "1 row", `pluralize(2, "row")` is "2 rows".
 * @param {number} count
 * @param {string} noun
 */
export function pluralize(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
