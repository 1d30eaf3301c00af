// Creates elements. Text is only ever set as text, never as markup.

/**
 * `element("button", { class: "quiet", testid: "send", onclick: send }, "Send")`
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [props] `class`, `testid` (sets data-testid), functions named on… (event listeners), else
 *   attributes: a data- or aria- attribute is set to "true" or "false", any other is left out when false or null
 * @param {(Node | string | null | undefined)[]} children empty strings, null and undefined are left out
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name === "testid") node.dataset.testid = String(value);
    else if (/^(data|aria)-/.test(name)) node.setAttribute(name, String(value));
    else if (value !== false && value !== null) node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== "" && child != null) node.append(child);
  return node;
}

/**
 * @param {string} label
 * @param {Record<string, unknown>} props as for `element`
 */
export function button(label, props) {
  return element("button", { type: "button", ...props }, label);
}
