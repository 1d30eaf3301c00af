// Fault injection between one person's client and the server: a WebSocket class and a fetch function for the client, and
// methods that make them fail.
//
// Events: `traffic` (a Demo.TrafficEntry that the client doesn't emit itself: HTTP, closed connections, disturbed frames),
// `disturbed` (a fault was applied to a frame)

import { FrameType, parse } from "../client/protocol.js";

const ABNORMAL_CLOSURE = 1006;
const DELAY_MS = 2_000;
const FLUSH_MS = 2_000; // held frames are released after this time, even if no other frame arrives
const NOTES = { drop: "dropped", delay: "delayed", double: "doubled", shuffle: "shuffled" };

/** @typedef {"drop" | "delay" | "double" | "shuffle"} FrameFault */

export class FaultyNetwork extends EventTarget {
  isOffline = false;
  /** The sockets that are open or connecting. @type {Set<FaultyWebSocket>} */
  #sockets = new Set();
  /** The fault that applies to the next live frames. @type {{kind: FrameFault, left: number, held: (() => void)[]} | null} */
  #fault = null;
  #delayed = 0;
  /** @type {Doorbell.WebSocketClass} */
  WebSocket;

  constructor() {
    super();
    const network = this;
    this.WebSocket = class extends FaultyWebSocket {
      /**
       * @param {string} url
       * @param {string[]} [protocols]
       */
      constructor(url, protocols) {
        super(network, url, protocols);
      }
    };
  }

  /** The client's fetch: fails while offline. @type {typeof globalThis.fetch} */
  fetch = async (input, init) => {
    if (this.isOffline) throw new TypeError("The network is offline.");
    const began = performance.now();
    const response = await fetch(input, init);
    const { pathname, search } = new URL(String(input), document.baseURI);
    const text = `${init?.method ?? "GET"} ${pathname}${search}`;
    const latency = performance.now() - began;
    this.log({ direction: "http", frame: null, text, at: Date.now(), latency, note: String(response.status) });
    return response;
  };

  /** Breaks every connection, without a closing handshake. New ones can be opened. */
  cut() {
    for (const socket of [...this.#sockets]) socket.breakOff();
  }

  goOffline() {
    this.isOffline = true;
    this.cut();
  }

  goOnline() {
    this.isOffline = false;
    globalThis.dispatchEvent(new Event("online")); // as the browser would
  }

  /**
   * Applies a fault to the next live frames.
   * @param {FrameFault} kind
   * @param {number} count
   */
  disturb(kind, count) {
    this.#fault = { kind, left: count, held: [] };
  }

  /** Whether no fault is pending and no frame held back. */
  get isClear() {
    return this.#fault === null && this.#delayed === 0;
  }

  /** Ends the fault and releases the held frames. */
  clear() {
    if (this.#fault) release(this.#fault.held);
    this.#fault = null;
  }

  /**
   * Passes a received message on to the client, unless a fault applies to it.
   * @param {Doorbell.Frame | null} frame
   * @param {string} text
   * @param {() => void} pass
   */
  receive(frame, text, pass) {
    const fault = this.#fault;
    // Only live frames: a network doesn't lose a single replayed frame, and a client couldn't detect it.
    if (!fault || frame?.type !== FrameType.INBOX || frame.replayed) return pass();
    if (--fault.left === 0) this.#fault = null;
    this.log({ direction: "in", frame, text, at: Date.now(), latency: null, note: NOTES[fault.kind] });
    this.dispatchEvent(new Event("disturbed")); // before what follows from it
    this.#apply(fault, pass);
  }

  /**
   * @param {{kind: FrameFault, left: number, held: (() => void)[]}} fault
   * @param {() => void} pass
   */
  #apply({ kind, left, held }, pass) {
    if (kind === "delay") this.#delay(pass, DELAY_MS);
    if (kind === "double") [pass, pass].forEach((each) => each());
    if (kind !== "shuffle") return;
    held.push(pass);
    if (left === 0) release(held);
    else if (held.length === 1) this.#delay(() => release(held), FLUSH_MS);
  }

  /**
   * @param {() => void} pass
   * @param {number} ms
   */
  #delay(pass, ms) {
    this.#delayed += 1;
    setTimeout(() => {
      this.#delayed -= 1;
      pass();
    }, ms);
  }

  /** @param {Demo.TrafficEntry} entry */
  log(entry) {
    this.dispatchEvent(new CustomEvent("traffic", { detail: entry }));
  }

  /** @param {FaultyWebSocket} socket */
  add(socket) {
    this.#sockets.add(socket);
  }

  /** @param {FaultyWebSocket} socket */
  remove(socket) {
    this.#sockets.delete(socket);
  }
}

/** Last in, first out. @param {(() => void)[]} held */
function release(held) {
  for (const pass of held.splice(0).reverse()) pass();
}

/** The part of a WebSocket that the client uses (Doorbell.WebSocketLike). */
class FaultyWebSocket extends EventTarget {
  /** @type {WebSocket | null} */
  #real = null;
  #network;
  #isClosed = false;

  /**
   * @param {FaultyNetwork} network
   * @param {string} url
   * @param {string[]} [protocols]
   */
  constructor(network, url, protocols) {
    super();
    this.#network = network;
    network.add(this);
    if (network.isOffline) setTimeout(() => this.breakOff());
    else this.#connect(url, protocols);
  }

  /**
   * @param {string} url
   * @param {string[]} [protocols]
   */
  #connect(url, protocols) {
    this.#real = new WebSocket(url, protocols);
    this.#real.addEventListener("open", () => !this.#isClosed && this.dispatchEvent(new Event("open")));
    this.#real.addEventListener("message", (event) => this.#handleMessage(event.data));
    this.#real.addEventListener("close", (event) => this.#handleClose(event.code, event.reason));
  }

  get readyState() {
    return this.#isClosed ? WebSocket.CLOSED : (this.#real?.readyState ?? WebSocket.CONNECTING);
  }

  /** @param {string} text */
  send(text) {
    if (!this.#isClosed) this.#real?.send(text);
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  close(code, reason) {
    this.#network.remove(this);
    this.#real?.close(code, reason);
  }

  /** As if the cable was pulled out. */
  breakOff() {
    const real = this.#real;
    this.#handleClose(ABNORMAL_CLOSURE, "");
    real?.close();
  }

  /** @param {unknown} data */
  #handleMessage(data) {
    if (this.#isClosed) return;
    const pass = () => void (this.#isClosed || this.dispatchEvent(new MessageEvent("message", { data })));
    this.#network.receive(parse(data), String(data), pass);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #handleClose(code, reason) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#network.remove(this);
    this.#network.log({ direction: "in", frame: null, text: `closed with ${code} ${reason}`.trim(), at: Date.now(), latency: null, note: "closed" });
    this.dispatchEvent(new CloseEvent("close", { code, reason }));
  }
}
