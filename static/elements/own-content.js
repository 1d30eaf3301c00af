// A page's own content of a notification: what the `render` that it has given to an element returns.

/** Elements and types about which the console has been warned. @type {Set<string>} */
const reported = new Set();

/**
 * Null: the built-in content is shown, also where `render` fails.
 * @template {{id: number | string, notification_type?: string}} Row
 * @param {HTMLElement} host
 * @param {((row: Row) => Node | null | undefined) | null} render
 * @param {Row} row
 * @returns {Node | null}
 */
export function ownContent(host, render, row) {
  if (!render) return null;
  try {
    const content = render(row);
    if (content == null || content instanceof Node) return content ?? null;
    throw new TypeError(`it returned no Node, but ${typeof content}`);
  } catch (error) {
    const type = row.notification_type ?? "";
    const key = `${host.localName} ${type}`;
    if (!reported.has(key)) {
      reported.add(key);
      console.error(`Doorbell: render of <${host.localName}> failed for a notification of type "${type}" (id ${row.id}), which is shown as usual:`, error);
    }
    return null;
  }
}
