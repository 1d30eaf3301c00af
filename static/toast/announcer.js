// Announces toasts to screen readers by live regions of its own. The toasts themselves aren't a live region: their buttons
// would be read out with them, and toasts that are moved would be read again.

const MAX_LINES = 3;
const REMOVE_AFTER_MS = 10_000;

export class Announcer {
  element = document.createElement("div");
  #polite = liveRegion("polite");
  #assertive = liveRegion("assertive");

  constructor() {
    this.element.className = "toast-spoken";
    this.element.append(this.#polite, this.#assertive);
  }

  /**
   * @param {DoorbellToast.Toast} toast
   * @param {import("../elements/labels.js").Translate} t
   */
  announce({ title, description, level = "info" }, t) {
    const line = document.createElement("p");
    // What is new is said at once, also while the words of the page's language are loaded.
    const text = description ? t("announced", { title, description }) || `${title}. ${description}` : title;
    line.textContent = (level === "warning" || level === "error") && t(level, { text }) || text;
    const region = level === "error" ? this.#assertive : this.#polite;
    region.append(line);
    while (region.childElementCount > MAX_LINES) region.firstElementChild?.remove();
    setTimeout(() => line.remove(), REMOVE_AFTER_MS); // later a screen reader would read outdated text
  }
}

/** @param {"polite" | "assertive"} politeness */
function liveRegion(politeness) {
  const node = document.createElement("div");
  node.setAttribute("aria-live", politeness);
  node.setAttribute("aria-relevant", "additions");
  return node;
}
