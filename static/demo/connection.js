// The connection's state in words, and what to do when it ended for good.

import { CloseCode } from "../client/protocol.js";
import { DoorbellClient } from "../client/client.js";
import { part } from "./dom.js";

/** @type {Record<number, string>} */
const ENDED = {
  [CloseCode.UNAUTHENTICATED]: "Not signed in",
  [CloseCode.PROTOCOL_ERROR]: "Stopped: protocol error",
  [CloseCode.TOO_MANY_CONNECTIONS]: "Stopped: too many windows",
  [CloseCode.SIGNED_OUT]: "Signed out",
};

export class ConnectionView {
  /**
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   */
  constructor(root, client) {
    this.state = part(root, "connection-state");
    this.again = part(root, "connect-again");
    this.me = part(root, "me");
    this.again.addEventListener("click", () => client.reconnect());
    client.addEventListener("state", (event) => this.show(/** @type {CustomEvent} */ (event).detail));
  }

  /** @param {Doorbell.StateChange} change */
  show({ state, code, retryIn }) {
    this.state.dataset.state = state;
    this.state.textContent = describe(state, code, retryIn);
    const hadFocus = document.activeElement === this.again;
    this.again.hidden = retryIn === null && (state !== "disconnected" || code === CloseCode.NORMAL);
    this.again.textContent = retryIn === null ? "Connect again" : "Try now";
    if (hadFocus && this.again.hidden) this.me.focus({ preventScroll: true });
  }
}

/**
 * @param {Doorbell.State} state
 * @param {number | null} code
 * @param {number | null} retryIn
 */
function describe(state, code, retryIn) {
  if (state === "connected") return "Connected";
  if (state === "disconnected") return ENDED[code ?? 0] ?? "Disconnected";
  return retryIn === null ? "Connecting…" : `Lost, next try in ${Math.ceil(retryIn / 1000)} s`;
}
