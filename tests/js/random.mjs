// Seeded random choices, so that a failure can be repeated by its seed (mulberry32).

/** @param {number} seed */
export function random(seed) {
  const next = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (/** @type {number} */ n) => Math.floor(next() * n);
  return {
    next,
    below,
    chance: (/** @type {number} */ p) => next() < p,
    /**
     * @template T
     * @param {T[]} items
     * @returns {T | undefined}
     */
    pick: (items) => items[below(items.length)],
    /** @param {any[]} items */
    shuffle: (items) => items.sort(() => next() - 0.5),
  };
}
