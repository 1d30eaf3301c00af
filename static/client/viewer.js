// Who looks at this page: is somebody there, since when, and is the page about to go or to be put to sleep?
//
// Events: `look` (seen, unseen or focused), `leave` (closed, frozen or put into the back/forward cache), `return` (from there).

/** @implements {Doorbell.Viewer} */
export class Viewer extends EventTarget {
  focusedAt = 0;
  #listening = new AbortController();
  #window;
  #document;

  /** @param {{window?: EventTarget, document?: Document}} [options] */
  constructor({ window = globalThis, document = globalThis.document } = {}) {
    super();
    this.#window = window;
    this.#document = document;
  }

  get isVisible() {
    return this.#document?.visibilityState === "visible";
  }

  watch() {
    this.unwatch();
    const { signal } = (this.#listening = new AbortController());
    /** @type {(target: EventTarget | undefined, type: string, listener: () => void) => void} */
    const on = (target, type, listener) => target?.addEventListener?.(type, listener, { signal });
    if (this.#document?.hasFocus()) this.focusedAt = Date.now();
    on(this.#document, "visibilitychange", () => this.#look(this.isVisible));
    on(this.#window, "focus", () => this.#look(true));
    on(this.#window, "pagehide", () => this.#tell("leave"));
    on(this.#window, "pageshow", () => this.#tell("return"));
    on(this.#document, "freeze", () => this.#tell("leave"));
    on(this.#document, "resume", () => this.#tell("return"));
  }

  unwatch() {
    this.#listening.abort();
  }

  /** @param {boolean} isFocused */
  #look(isFocused) {
    if (isFocused) this.focusedAt = Date.now();
    this.#tell("look");
  }

  /** @param {string} type */
  #tell(type) {
    this.dispatchEvent(new Event(type));
  }
}
