// Shows the connection's state, and the button to connect again after a final close code.

import { CloseCode } from "../client/protocol.js";
import { DoorbellClient } from "../client/client.js";
import { part } from "./dom.js";
import { Language } from "./language.js";

/** @type {Record<number, import("./language.js").Key>} */
const FINAL_STATES = {
  [CloseCode.UNAUTHENTICATED]: "notSignedIn",
  [CloseCode.PROTOCOL_ERROR]: "protocolError",
  [CloseCode.TOO_MANY_CONNECTIONS]: "tooMany",
  [CloseCode.SIGNED_OUT]: "signedOut",
};

export class ConnectionView {
  /**
   * @param {HTMLElement} root
   * @param {DoorbellClient} client
   * @param {Language} language
   */
  constructor(root, client, language) {
    this.language = language;
    this.state = part(root, "connection-state");
    this.reconnectButton = part(root, "connect-again");
    this.me = part(root, "me");
    this.reconnectButton.addEventListener("click", () => client.reconnect());
    client.addEventListener("state", (event) => this.show(/** @type {CustomEvent} */ (event).detail));
    language.addEventListener("change", () => this.show(client.connection));
  }

  /** @param {Doorbell.StateChange} change */
  show({ state, code, retryIn }) {
    this.state.dataset.state = state;
    this.state.textContent = describe(this.language, state, code, retryIn);
    const hadFocus = document.activeElement === this.reconnectButton;
    this.reconnectButton.hidden = retryIn === null && (state !== "disconnected" || code === CloseCode.NORMAL);
    this.reconnectButton.textContent = this.language.t(retryIn === null ? "connectAgain" : "tryNow");
    if (hadFocus && this.reconnectButton.hidden) this.me.focus({ preventScroll: true });
  }
}

/**
 * @param {Language} language
 * @param {Doorbell.State} state
 * @param {number | null} code
 * @param {number | null} retryIn
 */
function describe({ t }, state, code, retryIn) {
  if (state === "connected") return t("connected");
  if (state === "disconnected") return t(FINAL_STATES[code ?? 0] ?? "disconnected");
  return retryIn === null ? t("connecting") : t("lost", { seconds: Math.ceil(retryIn / 1000) });
}
