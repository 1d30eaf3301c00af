// Desktop notifications while the page is hidden. Only `toggle()`, which is called on a click, requests the permission.

const STORAGE_KEY = "doorbell.desktop";

export class DesktopNotifications {
  #Notification;
  #storage;
  #isHidden;

  /**
   * @param {object} [options] replaced by tests
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
    return this.#Notification.permission === "granted" && this.#storage.getItem(STORAGE_KEY) === "on" ? "on" : "off";
  }

  /** Switches on, requesting the permission if needed, or off. Must be called on a click. */
  async toggle() {
    if (this.state === "on") return this.#storage?.setItem(STORAGE_KEY, "off");
    if (this.state !== "off") return;
    const permission = await this.#Notification.requestPermission();
    if (permission === "granted") this.#storage?.setItem(STORAGE_KEY, "on");
  }

  /**
   * Shows it if switched on and the page is hidden. Its tag makes the browser show it once, however many tabs do this.
   * @param {DoorbellBell.Notification} notification
   * @param {() => void} open called on a click
   */
  show(notification, open) {
    if (this.state !== "on" || !this.#isHidden()) return;
    const desktopNotification = this.#create(notification);
    if (!desktopNotification) return;
    desktopNotification.onclick = () => {
      desktopNotification.close();
      globalThis.focus?.();
      open();
    };
  }

  /** @param {DoorbellBell.Notification} notification */
  #create({ id, title, description, group, notification_type }) {
    const tag = group ? `doorbell-${notification_type}-${group}` : `doorbell-${id}`;
    try {
      return new this.#Notification(title, { body: description ?? "", tag });
    } catch {
      this.#Notification = null; // Chrome for Android has the class, but allows notifications from service workers only
      return null;
    }
  }
}

/** Null where storage is blocked: in a sandboxed frame or by a privacy setting even the access throws. */
function browserStorage() {
  try {
    return globalThis.localStorage;
  } catch {
    return null;
  }
}
