/** @param {string} name @returns {string} up to two capital letters */
export function initials(name) {
  const letters = name.split(/[\s._-]+/).filter(Boolean).map((word) => [...word][0] ?? "");
  return letters.slice(0, 2).join("").toUpperCase();
}
