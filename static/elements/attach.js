/**
 * An element without a client requests the page's, by an event: doorbell/page.js gives it the page's, also when the element
 * is added long after the page was loaded. Without a listener nothing happens.
 * @param {HTMLElement & {client: unknown}} node
 */
export function attach(node) {
  if (!node.client) node.dispatchEvent(new CustomEvent("doorbell-attach", { bubbles: true, composed: true }));
}
