// Desktop notifications while the page is hidden. The permission is asked for by `toggle()`, which a click calls, and
// never otherwise.

const KEY = "doorbell.desktop";

export class Desktop {
  #Notification;
  #storage;
  #isHidden;

  /**
   * @param {object} [options] what a test replaces
   * @param {any} [options.Notification]
   * @param {Pick<Storage, "getItem" | "setItem"> | null} [options.storage]
   * @param {() => boolean} [options.isHidden]
   */
  constructor({
    Notification = globalThis.Notification,
    storage = browserStorage(),
    isHidden = () => document.hidden,
  } = {}) {
    this.#Notification = Notification;
    this.#storage = storage;
    this.#isHidden = isHidden;
  }

  /** @returns {"unsupported" | "blocked" | "off" | "on"} */
  get state() {
    if (!this.#Notification || !this.#storage) return "unsupported";
    if (this.#Notification.permission === "denied") return "blocked";
    return this.#Notification.permission === "granted" && this.#storage.getItem(KEY) === "on" ? "on" : "off";
  }

  /** Switch on, asking the user if need be, or off. To be called from a click. */
  async toggle() {
    if (this.state === "on") return this.#storage?.setItem(KEY, "off");
    if (this.state !== "off") return;
    const permission = await this.#Notification.requestPermission();
    if (permission === "granted") this.#storage?.setItem(KEY, "on");
  }

  /**
   * Show it, if that is wanted and the page can't be seen. The tag makes it one, however many tabs show it.
   * @param {DoorbellBell.Notification} notification
   * @param {() => void} open called when it is clicked
   */
  show(notification, open) {
    if (this.state !== "on" || !this.#isHidden()) return;
    const shown = this.#make(notification);
    if (!shown) return;
    shown.onclick = () => {
      shown.close();
      globalThis.focus?.();
      open();
    };
  }

  /** @param {DoorbellBell.Notification} notification */
  #make({ id, title, description }) {
    try {
      return new this.#Notification(title, { body: description ?? "", tag: `doorbell-${id}` });
    } catch {
      this.#Notification = null; // Chrome for Android has the class, for service workers only
      return null;
    }
  }
}

/** Null where it is blocked: in a sandboxed frame, or by a privacy setting, even asking for it throws. */
function browserStorage() {
  try {
    return globalThis.localStorage;
  } catch {
    return null;
  }
}
