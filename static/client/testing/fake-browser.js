// A browser in memory: tabs that share locks and channels, each with a client of its own. A test opens, shows, hides, closes,
// crashes, freezes and hangs them.
//
//   const browser = new FakeBrowser(server, clock);
//   const tab = browser.open();          // a started client, and the toasts it has shown
//   tab.close(); tab.hang(); await tab.wake(); tab.show(); tab.hide();

import { DoorbellClient } from "../client.js";
import { FakeChannels } from "./fake-channels.js";
import { FakeClock, settle } from "./fake-clock.js";
import { FakeLocks } from "./fake-locks.js";
import { FakeServer } from "./fake-server.js";

export class FakeBrowser {
  locks = new FakeLocks();
  channels = new FakeChannels();
  /** The open tabs, oldest first. @type {FakeTab[]} */
  tabs = [];
  #opened = 0;

  /**
   * @param {FakeServer} server
   * @param {FakeClock} clock
   */
  constructor(server, clock) {
    this.server = server;
    this.clock = clock;
  }

  /** @param {Doorbell.ClientOptions} [options] */
  open(options) {
    const tab = new FakeTab(this, `tab${++this.#opened}`, options);
    this.tabs.push(tab);
    tab.show();
    tab.client.start().catch((error) => (tab.refusal = error));
    return tab;
  }

  /** @param {FakeTab} tab */
  forget(tab) {
    this.tabs = this.tabs.filter((other) => other !== tab);
    this.locks.removeTab(tab);
    this.channels.removeTab(tab);
  }
}

export class FakeTab {
  /** @type {Doorbell.Notification[]} */
  toasts = [];
  /** Why the start failed. @type {unknown} */
  refusal = null;
  lifecycle = new FakePageLifecycle();
  /** The tasks of a tab that hangs, by their source: each source keeps its order. @type {Map<string, (() => void)[]>} */
  #queues = new Map();
  /** @type {"running" | "hung" | "gone"} */
  #state = "running";
  /** @type {Set<any>} */
  #sockets = new Set();
  #browser;

  /**
   * @param {FakeBrowser} browser
   * @param {string} name
   * @param {Doorbell.ClientOptions} [options]
   */
  constructor(browser, name, options) {
    this.#browser = browser;
    this.name = name;
    const { server } = browser;
    this.client = new DoorbellClient({
      base: server.base,
      user: server.user,
      share: true,
      fetch: async (...call) => {
        const response = await server.fetch(...call);
        await new Promise((resolve) => this.run("fetch", () => resolve(null)));
        return response;
      },
      WebSocket: this.#socketClass(server.WebSocket),
      clock: this.#clock(browser.clock),
      locks: browser.locks.forTab(this),
      BroadcastChannel: browser.channels.forTab(this),
      lifecycle: this.lifecycle,
      ...options,
    });
    this.client.addEventListener("toast", (event) => this.toasts.push(/** @type {CustomEvent} */ (event).detail));
  }

  get isRunning() {
    return this.#state === "running";
  }

  /** The user switches to this tab. */
  show() {
    this.lifecycle.setVisibility(true, this.#browser.clock.now() + 1);
  }

  hide() {
    this.lifecycle.setVisibility(false, this.lifecycle.focusedAt);
  }

  /** Closed by the user: the page gets its lifecycle event. */
  close() {
    if (this.isRunning) this.lifecycle.dispatchEvent(new Event("suspend"));
    this.crash();
  }

  /** Gone without any event. */
  crash() {
    this.#state = "gone";
    this.#browser.forget(this);
    for (const socket of this.#sockets) this.#browser.server.disconnected(socket);
  }

  /** Frozen by the browser: the page gets its lifecycle event. */
  freeze() {
    this.lifecycle.dispatchEvent(new Event("suspend"));
    this.hang();
  }

  /** Stops running without any event: an endless loop, a debugger, a suspended process. */
  hang() {
    this.#state = "hung";
  }

  /**
   * Runs the queued tasks one after another; the tab runs normally after that. `order` decides which source comes first, as a
   * browser may.
   * @param {(sources: string[]) => string[]} [order]
   */
  async wake(order = (sources) => sources) {
    while (this.#state === "hung" && this.#queues.size > 0) {
      const [source = ""] = order([...this.#queues.keys()]);
      const tasks = this.#queues.get(source) ?? [];
      tasks.shift()?.();
      if (tasks.length === 0) this.#queues.delete(source);
      await settle();
    }
    if (this.#state !== "hung") return;
    this.#state = "running";
    this.lifecycle.dispatchEvent(new Event("resume"));
  }

  /**
   * Runs a task in the tab: at once, or when it runs again.
   * @param {string} source
   * @param {() => void} task
   */
  run(source, task) {
    if (this.#state === "running") task();
    else if (this.#state === "hung") this.#queues.set(source, [...(this.#queues.get(source) ?? []), task]);
  }

  /**
   * @param {FakeClock} clock
   * @returns {Doorbell.Clock}
   */
  #clock(clock) {
    return {
      now: clock.now,
      setTimeout: (callback, ms) => {
        const timer = { isCleared: false, id: /** @type {any} */ (null) };
        timer.id = clock.setTimeout(() => this.run("timers", () => timer.isCleared || callback()), ms);
        return timer;
      },
      clearTimeout: (timer) => {
        if (timer === null) return;
        timer.isCleared = true;
        clock.clearTimeout(timer.id);
      },
    };
  }

  /** @param {FakeServer["WebSocket"]} WebSocket */
  #socketClass(WebSocket) {
    const tab = this;
    return class extends WebSocket {
      /**
       * @param {string} url
       * @param {string[]} [protocols]
       */
      constructor(url, protocols) {
        super(url, protocols);
        tab.#sockets.add(this);
      }

      /** @override @param {Event} event */
      dispatchEvent(event) {
        tab.run("socket", () => super.dispatchEvent(event));
        return true;
      }
    };
  }
}

/** @implements {Doorbell.PageLifecycle} */
export class FakePageLifecycle extends EventTarget {
  isVisible = true;
  focusedAt = 0;
  isObserving = false;

  observe() {
    this.isObserving = true;
  }

  unobserve() {
    this.isObserving = false;
  }

  /**
   * @param {boolean} isVisible
   * @param {number} focusedAt
   */
  setVisibility(isVisible, focusedAt) {
    Object.assign(this, { isVisible, focusedAt });
    this.dispatchEvent(new Event("visibility"));
  }
}
