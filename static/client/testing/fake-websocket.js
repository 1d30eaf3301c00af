// The browser's WebSocket class, connected to a server in the same process. Frames are delivered in order, asynchronously.

/** @param {{accept: Function, command: Function, disconnected: Function}} server */
export function fakeWebSocket(server) {
  return class FakeWebSocket extends EventTarget {
    /** The connection is lost, and neither side gets an event. */
    dead = false;
    #isOpen = true;

    /**
     * @param {string} url
     * @param {string[]} [protocols]
     */
    constructor(url, protocols = []) {
      super();
      queueMicrotask(() => this.#isOpen && server.accept(this, url, protocols));
    }

    /** @param {string} text */
    send(text) {
      if (!this.dead) queueMicrotask(() => server.command(this, text));
    }

    close(code = 1000) {
      server.disconnected(this);
      this.end(code, "");
    }

    // For the server -------------------------------------------------------------------------------------------

    /** @param {Doorbell.Frame} frame */
    deliver(frame) {
      const text = JSON.stringify(frame);
      if (!this.dead) queueMicrotask(() => this.#fire("message", { data: text }));
    }

    /**
     * @param {number} code
     * @param {string} reason
     */
    end(code, reason) {
      queueMicrotask(() => {
        this.#fire("close", { code, reason });
        this.#isOpen = false;
      });
    }

    /**
     * @param {string} type
     * @param {object} fields
     */
    #fire(type, fields) {
      if (this.#isOpen) this.dispatchEvent(Object.assign(new Event(type), fields));
    }
  };
}
