// Page Lifecycle (https://developer.chrome.com/docs/web-platform/page-lifecycle-api): whether the page is visible, when it
// was focused, when it is closed, frozen or put into the back/forward cache, and when it returns from there.

/**
 * Events: `visibility` (shown, hidden or focused), `suspend` (closed, frozen or put into the back/forward cache), `resume`
 * (back from there).
 * @implements {Doorbell.PageLifecycle}
 */
export class PageLifecycle extends EventTarget {
  focusedAt = 0;
  #observing = new AbortController();
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

  observe() {
    this.unobserve();
    const { signal } = (this.#observing = new AbortController());
    /** @type {(target: EventTarget | undefined, type: string, listener: () => void) => void} */
    const on = (target, type, listener) => target?.addEventListener?.(type, listener, { signal });
    if (this.#document?.hasFocus()) this.focusedAt = Date.now();
    on(this.#document, "visibilitychange", () => this.#handleVisibility(this.isVisible));
    on(this.#window, "focus", () => this.#handleVisibility(true));
    on(this.#window, "pagehide", () => this.#emit("suspend"));
    on(this.#window, "pageshow", () => this.#emit("resume"));
    on(this.#document, "freeze", () => this.#emit("suspend"));
    on(this.#document, "resume", () => this.#emit("resume"));
  }

  unobserve() {
    this.#observing.abort();
  }

  /** @param {boolean} isFocused */
  #handleVisibility(isFocused) {
    if (isFocused) this.focusedAt = Date.now();
    this.#emit("visibility");
  }

  /** @param {string} type */
  #emit(type) {
    this.dispatchEvent(new Event(type));
  }
}

/**
 * Calls back when waiting any longer makes no sense: the network is back, or the page is visible again. Without a window
 * or a document (node, a worker) it never does.
 * @param {() => void} callback
 * @returns {() => void} removes the listeners
 */
export function onWake(callback) {
  const { document } = globalThis;
  const onVisibilityChange = () => {
    if (document.visibilityState === "visible") callback();
  };
  globalThis.addEventListener?.("online", callback);
  globalThis.addEventListener?.("pageshow", callback);
  document?.addEventListener("visibilitychange", onVisibilityChange);
  return () => {
    globalThis.removeEventListener?.("online", callback);
    globalThis.removeEventListener?.("pageshow", callback);
    document?.removeEventListener("visibilitychange", onVisibilityChange);
  };
}
