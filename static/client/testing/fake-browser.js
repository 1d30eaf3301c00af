// A browser in memory: tabs that share locks and channels, each with a client of its own, and that are opened, looked at,
// closed, crashed, frozen and hung as the test says.
//
//   const browser = new FakeBrowser(server, clock);
//   const tab = browser.open();          // a client that has started, and what it toasted
//   tab.close(); tab.hang(); await tab.wake(); tab.show(); tab.hide();

import { DoorbellClient } from "../client.js";
import { FakeChannels } from "./fake-channels.js";
import { FakeClock, settle } from "./fake-clock.js";
import { FakeLocks } from "./fake-locks.js";
import { FakeServer } from "./fake-server.js";

export class FakeBrowser {
  locks = new FakeLocks();
  channels = new FakeChannels();
  /** Those that are open, the oldest first. @type {FakeTab[]} */
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
    this.locks.drop(tab);
    this.channels.drop(tab);
  }
}

export class FakeTab {
  /** @type {Doorbell.Notification[]} */
  toasts = [];
  /** Why the start failed. @type {unknown} */
  refusal = null;
  viewer = new FakeViewer();
  /** What happens to a tab that hangs, by where it comes from: each source keeps its order. @type {Map<string, (() => void)[]>} */
  #waiting = new Map();
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
      locks: browser.locks.seenFrom(this),
      BroadcastChannel: browser.channels.seenFrom(this),
      viewer: this.viewer,
      ...options,
    });
    this.client.addEventListener("toast", (event) => this.toasts.push(/** @type {CustomEvent} */ (event).detail));
  }

  get isRunning() {
    return this.#state === "running";
  }

  /** The user comes to this tab. */
  show() {
    this.viewer.look(true, this.#browser.clock.now() + 1);
  }

  hide() {
    this.viewer.look(false, this.viewer.focusedAt);
  }

  /** As a browser does it, telling the page. */
  close() {
    if (this.isRunning) this.viewer.dispatchEvent(new Event("leave"));
    this.crash();
  }

  /** Gone without a word. */
  crash() {
    this.#state = "gone";
    this.#browser.forget(this);
    for (const socket of this.#sockets) this.#browser.server.left(socket);
  }

  /** Put to sleep, telling the page. */
  freeze() {
    this.viewer.dispatchEvent(new Event("leave"));
    this.hang();
  }

  /** Put to sleep without a word: an endless loop, a debugger, a suspended process. */
  hang() {
    this.#state = "hung";
  }

  /**
   * All that waited happens, one thing after another; which source comes first is up to the browser.
   * @param {(sources: string[]) => string[]} [order]
   */
  async wake(order = (sources) => sources) {
    while (this.#state === "hung" && this.#waiting.size > 0) {
      const [source = ""] = order([...this.#waiting.keys()]);
      const tasks = this.#waiting.get(source) ?? [];
      tasks.shift()?.();
      if (tasks.length === 0) this.#waiting.delete(source);
      await settle();
    }
    if (this.#state !== "hung") return;
    this.#state = "running";
    this.viewer.dispatchEvent(new Event("return"));
  }

  /**
   * Do this in the tab, as soon as it runs.
   * @param {string} source
   * @param {() => void} task
   */
  run(source, task) {
    if (this.#state === "running") task();
    else if (this.#state === "hung") this.#waiting.set(source, [...(this.#waiting.get(source) ?? []), task]);
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

/** @implements {Doorbell.Viewer} */
export class FakeViewer extends EventTarget {
  isVisible = true;
  focusedAt = 0;
  isWatching = false;

  watch() {
    this.isWatching = true;
  }

  unwatch() {
    this.isWatching = false;
  }

  /**
   * @param {boolean} isVisible
   * @param {number} focusedAt
   */
  look(isVisible, focusedAt) {
    Object.assign(this, { isVisible, focusedAt });
    this.dispatchEvent(new Event("look"));
  }
}
