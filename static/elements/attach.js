const WARN_AFTER_MS = 1_000;

/** The tags about which the console has been warned. @type {Set<string>} */
const warned = new Set();

/**
 * An element without a client requests the page's, by an event: doorbell/page.js gives it the page's, also when the element
 * is added long after the page was loaded. One that has none a second later is a mistake of the page, said on the console.
 * @param {HTMLElement & {client: unknown}} node
 * @param {() => boolean} [needsNone] whether it does without one
 */
export function attach(node, needsNone = () => false) {
  if (node.client) return;
  node.dispatchEvent(new CustomEvent("doorbell-attach", { bubbles: true, composed: true }));
  if (node.client || warned.has(node.localName)) return;
  setTimeout(() => {
    if (node.client || !node.isConnected || needsNone() || warned.has(node.localName)) return;
    warned.add(node.localName);
    console.warn(
      `Doorbell: <${node.localName}> has no client, so it shows nothing. In the template: {% load doorbell %}{% doorbell %}. ` +
        `Or in a module of the page: document.querySelector("${node.localName}").client = connect();`,
    );
  }, WARN_AFTER_MS);
}
