// The line between one person's client and the server, made so that it can be broken on purpose: a WebSocket class and a
// fetch for the client, and what goes wrong with them.
//
// Events: `crossing` (a Demo.Crossing that the client doesn't tell of: HTTP, closed connections, spoiled frames), `spoiled`

import { FrameType, parse } from "../client/protocol.js";

const BROKEN = 1006;
const DELAY_MS = 2_000;
const FLUSH_MS = 2_000; // what was held back passes after this, also when nothing else comes
const NOTES = { drop: "dropped", delay: "delayed", double: "doubled", shuffle: "shuffled" };

/** @typedef {"drop" | "delay" | "double" | "shuffle"} Fate */

export class Line extends EventTarget {
  isDown = false;
  /** The connections that stand or are being made. @type {Set<LineSocket>} */
  #sockets = new Set();
  /** What becomes of the next live frames. @type {{fate: Fate, left: number, held: (() => void)[]} | null} */
  #fault = null;
  #heldBack = 0;
  /** @type {Doorbell.WebSocketClass} */
  WebSocket;

  constructor() {
    super();
    const line = this;
    this.WebSocket = class extends LineSocket {
      /**
       * @param {string} url
       * @param {string[]} [protocols]
       */
      constructor(url, protocols) {
        super(line, url, protocols);
      }
    };
  }

  /** The client's own way to HTTP: away while the line is down. @type {typeof globalThis.fetch} */
  fetch = async (input, init) => {
    if (this.isDown) throw new TypeError("The line is down.");
    const began = performance.now();
    const response = await fetch(input, init);
    const { pathname, search } = new URL(String(input), document.baseURI);
    const text = `${init?.method ?? "GET"} ${pathname}${search}`;
    const latency = performance.now() - began;
    this.tell({ direction: "http", frame: null, text, at: Date.now(), latency, note: String(response.status) });
    return response;
  };

  /** Every connection breaks, without a goodbye. New ones can be made. */
  cut() {
    for (const socket of [...this.#sockets]) socket.snap();
  }

  goDown() {
    this.isDown = true;
    this.cut();
  }

  comeUp() {
    this.isDown = false;
    globalThis.dispatchEvent(new Event("online")); // as the browser would
  }

  /**
   * Let something happen to the next live frames.
   * @param {Fate} fate
   * @param {number} count
   */
  spoil(fate, count) {
    this.#fault = { fate, left: count, held: [] };
  }

  /** Is nothing being held back or still to be spoiled? */
  get isCalm() {
    return this.#fault === null && this.#heldBack === 0;
  }

  /** Let pass whatever comes from now on. */
  calm() {
    if (this.#fault) release(this.#fault.held);
    this.#fault = null;
  }

  /**
   * Hand a message that came in to the client, or don't.
   * @param {Doorbell.Frame | null} frame
   * @param {string} text
   * @param {() => void} pass
   */
  judge(frame, text, pass) {
    const fault = this.#fault;
    // Only live frames: one of a replay that vanished alone is nothing a network does, and nobody could notice.
    if (!fault || frame?.type !== FrameType.INBOX || frame.replayed) return pass();
    if (--fault.left === 0) this.#fault = null;
    this.tell({ direction: "in", frame, text, at: Date.now(), latency: null, note: NOTES[fault.fate] });
    this.#spoil(fault, pass);
    this.dispatchEvent(new Event("spoiled"));
  }

  /**
   * @param {{fate: Fate, left: number, held: (() => void)[]}} fault
   * @param {() => void} pass
   */
  #spoil({ fate, left, held }, pass) {
    if (fate === "delay") this.#later(pass, DELAY_MS);
    if (fate === "double") [pass, pass].forEach((each) => each());
    if (fate !== "shuffle") return;
    held.push(pass);
    if (left === 0) release(held);
    else if (held.length === 1) this.#later(() => release(held), FLUSH_MS);
  }

  /**
   * @param {() => void} pass
   * @param {number} ms
   */
  #later(pass, ms) {
    this.#heldBack += 1;
    setTimeout(() => {
      this.#heldBack -= 1;
      pass();
    }, ms);
  }

  /** @param {Demo.Crossing} crossing */
  tell(crossing) {
    this.dispatchEvent(new CustomEvent("crossing", { detail: crossing }));
  }

  /** @param {LineSocket} socket */
  add(socket) {
    this.#sockets.add(socket);
  }

  /** @param {LineSocket} socket */
  remove(socket) {
    this.#sockets.delete(socket);
  }
}

/** Last in, first out. @param {(() => void)[]} held */
function release(held) {
  for (const pass of held.splice(0).reverse()) pass();
}

/** A WebSocket over a line: what the client uses of it (Doorbell.WebSocketLike). */
class LineSocket extends EventTarget {
  /** @type {WebSocket | null} */
  #real = null;
  #line;
  #isOver = false;

  /**
   * @param {Line} line
   * @param {string} url
   * @param {string[]} [protocols]
   */
  constructor(line, url, protocols) {
    super();
    this.#line = line;
    line.add(this);
    if (line.isDown) setTimeout(() => this.snap());
    else this.#dial(url, protocols);
  }

  /**
   * @param {string} url
   * @param {string[]} [protocols]
   */
  #dial(url, protocols) {
    this.#real = new WebSocket(url, protocols);
    this.#real.addEventListener("open", () => !this.#isOver && this.dispatchEvent(new Event("open")));
    this.#real.addEventListener("message", (event) => this.#hear(event.data));
    this.#real.addEventListener("close", (event) => this.#end(event.code, event.reason));
  }

  get readyState() {
    return this.#isOver ? WebSocket.CLOSED : (this.#real?.readyState ?? WebSocket.CONNECTING);
  }

  /** @param {string} text */
  send(text) {
    if (!this.#isOver) this.#real?.send(text);
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  close(code, reason) {
    this.#line.remove(this);
    this.#real?.close(code, reason);
  }

  /** As if the cable had been pulled out. */
  snap() {
    const real = this.#real;
    this.#end(BROKEN, "");
    real?.close();
  }

  /** @param {unknown} data */
  #hear(data) {
    if (this.#isOver) return;
    const pass = () => void (this.#isOver || this.dispatchEvent(new MessageEvent("message", { data })));
    this.#line.judge(parse(data), String(data), pass);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#line.remove(this);
    this.#line.tell({ direction: "in", frame: null, text: `closed with ${code} ${reason}`.trim(), at: Date.now(), latency: null, note: "closed" });
    this.dispatchEvent(new CloseEvent("close", { code, reason }));
  }
}
