// Shows the connection's state, and the button to connect again after a final close code.

import { CloseCode } from "../client/protocol.js";
import { DoorbellClient } from "../client/client.js";
import { part } from "./dom.js";

/** @type {Record<number, string>} */
const FINAL_STATES = {
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
    this.reconnectButton = part(root, "connect-again");
    this.me = part(root, "me");
    this.reconnectButton.addEventListener("click", () => client.reconnect());
    client.addEventListener("state", (event) => this.show(/** @type {CustomEvent} */ (event).detail));
  }

  /** @param {Doorbell.StateChange} change */
  show({ state, code, retryIn }) {
    this.state.dataset.state = state;
    this.state.textContent = describe(state, code, retryIn);
    const hadFocus = document.activeElement === this.reconnectButton;
    this.reconnectButton.hidden = retryIn === null && (state !== "disconnected" || code === CloseCode.NORMAL);
    this.reconnectButton.textContent = retryIn === null ? "Connect again" : "Try now";
    if (hadFocus && this.reconnectButton.hidden) this.me.focus({ preventScroll: true });
  }
}

/**
 * @param {Doorbell.State} state
 * @param {number | null} code
 * @param {number | null} retryIn
 */
function describe(state, code, retryIn) {
  if (state === "connected") return "Connected";
  if (state === "disconnected") return FINAL_STATES[code ?? 0] ?? "Disconnected";
  return retryIn === null ? "Connecting…" : `Lost, retry in ${Math.ceil(retryIn / 1000)} s`;
}
