// Says what a toast says to those who listen to the page. The toasts themselves are no live region: their buttons would
// be read out with them, and whatever is moved would be read again.

const KEPT = 3;
const SPOKEN_MS = 10_000;
const SPOKEN = { info: "", success: "", warning: "Warning: ", error: "Error: " };

export class Speaker {
  element = document.createElement("div");
  #polite = region("polite");
  #urgent = region("assertive");

  constructor() {
    this.element.className = "toast-spoken";
    this.element.append(this.#polite, this.#urgent);
  }

  /** @param {DoorbellToast.Toast} toast */
  say(toast) {
    const level = toast.level ?? "info";
    const line = document.createElement("p");
    line.textContent = SPOKEN[level] + [toast.title, toast.description].filter(Boolean).join(". ");
    const place = level === "error" ? this.#urgent : this.#polite;
    place.append(line);
    while (place.childElementCount > KEPT) place.firstElementChild?.remove();
    setTimeout(() => line.remove(), SPOKEN_MS); // nobody wants to read it again later
  }
}

/** @param {"polite" | "assertive"} manner */
function region(manner) {
  const node = document.createElement("div");
  node.setAttribute("aria-live", manner);
  node.setAttribute("aria-relevant", "additions");
  return node;
}
