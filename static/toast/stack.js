// The set of toasts and how long each stays: the logic of the region, without a DOM.

export const DURATION_MS = 8_000;
const ERROR_FACTOR = 2; // errors stay twice as long

/** @typedef {{toast: DoorbellToast.Toast, remaining: number, startedAt: number, timer: any}} Entry */

export class ToastStack {
  /** Oldest first. @type {Map<DoorbellToast.Toast["id"], Entry>} */
  #entries = new Map();
  #isPaused = false;
  #onChange;
  #clock;

  /**
   * @param {object} options
   * @param {() => void} options.onChange called after each change
   * @param {number} [options.maxVisible] how many are shown at once
   * @param {number} [options.duration] milliseconds
   * @param {{now(): number, setTimeout(callback: () => void, ms: number): any, clearTimeout(timer: any): void}} [options.clock]
   */
  constructor({ onChange, maxVisible = 5, duration = DURATION_MS, clock }) {
    this.#onChange = onChange;
    this.#clock = clock ?? {
      now: () => performance.now(),
      setTimeout: (callback, ms) => setTimeout(callback, ms),
      clearTimeout: (timer) => clearTimeout(timer),
    };
    this.maxVisible = maxVisible;
    this.duration = duration;
  }

  /** The toasts that are shown, newest first. */
  get visible() {
    return [...this.#entries.values()]
      .slice(-this.maxVisible)
      .reverse()
      .map((entry) => entry.toast);
  }

  /** How many more there are than are shown. */
  get more() {
    return Math.max(0, this.#entries.size - this.maxVisible);
  }

  /** @param {DoorbellToast.Toast} toast */
  show(toast) {
    const replaced = this.visible.find((other) => isSameGroup(other, toast));
    if (replaced?.id !== toast.id) this.#delete(toast.id);
    const remaining = this.duration * (toast.level === "error" ? ERROR_FACTOR : 1);
    const entry = { toast, remaining, startedAt: 0, timer: null };
    if (replaced) this.#replace(replaced.id, entry);
    else this.#entries.set(toast.id, entry);
    if (!this.#isPaused) this.#run(entry);
    this.#onChange();
  }

  /** @param {DoorbellToast.Toast["id"]} id */
  dismiss(id) {
    if (this.#delete(id)) this.#onChange();
  }

  clear() {
    for (const id of [...this.#entries.keys()]) this.#delete(id);
    this.#onChange();
  }

  /** Stops the timers, while the user reads. */
  pause() {
    if (this.#isPaused) return;
    this.#isPaused = true;
    for (const entry of this.#entries.values()) {
      this.#clock.clearTimeout(entry.timer);
      entry.remaining -= this.#clock.now() - entry.startedAt;
    }
  }

  resume() {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    for (const entry of this.#entries.values()) this.#run(entry);
  }

  /** @param {Entry} entry */
  #run(entry) {
    entry.startedAt = this.#clock.now();
    entry.timer = this.#clock.setTimeout(() => this.dismiss(entry.toast.id), Math.max(0, entry.remaining));
  }

  /**
   * @param {DoorbellToast.Toast["id"]} id
   * @param {Entry} entry
   */
  #replace(id, entry) {
    this.#clock.clearTimeout(this.#entries.get(id)?.timer);
    const entries = [...this.#entries.values()].map((other) => (other.toast.id === id ? entry : other));
    this.#entries = new Map(entries.map((other) => [other.toast.id, other]));
  }

  /** @param {DoorbellToast.Toast["id"]} id */
  #delete(id) {
    this.#clock.clearTimeout(this.#entries.get(id)?.timer);
    return this.#entries.delete(id);
  }
}

/**
 * @param {DoorbellToast.Toast} a
 * @param {DoorbellToast.Toast} b
 */
export function isSameGroup(a, b) {
  return Boolean(a.group) && a.group === b.group && a.notification_type === b.notification_type;
}
