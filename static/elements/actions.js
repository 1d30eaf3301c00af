// What a notification offers to do, as links and buttons: a link is followed, a POST sent by the client. Either marks the
// notification as read.
//
// Events: `notification-action` (detail: {notification, action}; cancelable: then the page does it), `notification-error`.

import { button, element } from "./element.js";
import { safeUrl } from "./safe-url.js";

const MAX_ACTIONS = 2;

/** @typedef {{label: string, url: string, method: "GET" | "POST"}} Action */
/** @typedef {{id: number | string, title: string, actions?: Action[]}} Row */
/** @typedef {{inbox: {items: {id: number, is_read: boolean}[]}, markRead(...ids: number[]): Promise<unknown>, perform?(action: Action): Promise<unknown>}} Client */

/**
 * @param {HTMLElement} host which dispatches the events
 * @param {Row} row
 * @param {() => Client | null} client
 * @param {import("./labels.js").Translate} t
 * @param {{link: string, button: string}} classes
 * @param {() => void} [onDone] called when a link is followed, or a POST has succeeded
 * @returns {HTMLElement[]}
 */
export function actionsOf(host, row, client, t, classes, onDone = () => {}) {
  const offered = [];
  for (const [index, action] of (row.actions ?? []).slice(0, MAX_ACTIONS).entries()) {
    const props = { testid: `action-${index}`, "aria-label": t("actionTitle", { action: action.label, title: row.title }) };
    const href = safeUrl(action.url, document.baseURI);
    if (action.method === "GET" && href) offered.push(link(action, href));
    // Without a client there is no login to send it with.
    else if (action.method === "POST" && client()?.perform) offered.push(post(action));

    /**
     * @param {Action} action
     * @param {string} href
     */
    function link(action, href) {
      const onclick = (/** @type {Event} */ event) => {
        if (!announced(action)) event.preventDefault();
        markRead();
        onDone();
      };
      return element("a", { ...props, class: classes.link, href, rel: "noopener noreferrer", onclick }, action.label);
    }

    /** @param {Action} action */
    function post(action) {
      const state = element("span", { role: "status", class: "action-state" });
      const node = button(action.label, { ...props, class: classes.button, onclick: () => send(action, node, state) });
      return element("span", { class: "action" }, node, state);
    }
  }
  return offered;

  /** @param {Action} action */
  function announced(action) {
    const event = new CustomEvent("notification-action", { detail: { notification: row, action }, bubbles: true, cancelable: true });
    return host.dispatchEvent(event);
  }

  /**
   * @param {Action} action
   * @param {HTMLElement} node
   * @param {HTMLElement} state a live region
   */
  async function send(action, node, state) {
    if (node.getAttribute("aria-disabled") === "true" || !announced(action)) return;
    node.setAttribute("aria-disabled", "true"); // not `disabled`, which would lose the focus
    state.textContent = "";
    try {
      await client()?.perform?.(action);
      markRead();
      onDone();
    } catch (error) {
      state.textContent = t("failed");
      report(error);
    }
    node.setAttribute("aria-disabled", "false");
  }

  async function markRead() {
    const item = client()?.inbox.items.find(({ id }) => id === row.id);
    try {
      if (item && !item.is_read) await client()?.markRead(item.id);
    } catch (error) {
      report(error);
    }
  }

  /** @param {unknown} error */
  function report(error) {
    host.dispatchEvent(new CustomEvent("notification-error", { detail: error, bubbles: true }));
  }
}
