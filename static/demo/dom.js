// Small helpers for building and finding elements. Text goes in as text, never as markup.

/**
 * `el("button", { class: "quiet", testid: "send", onclick: send }, "Send")`
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [props] `class`, `testid`, on… listeners, else attributes; data- and aria- ones say true or false, others are left out when false or null
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name === "testid") node.dataset.testid = String(value);
    else if (/^(data|aria)-/.test(name)) node.setAttribute(name, String(value));
    else if (value !== false && value !== null) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children);
  return node;
}

/**
 * The part of a view with this `data-part`.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} name
 * @returns {T}
 */
export function part(root, name) {
  const node = root.querySelector(`[data-part="${name}"]`);
  if (!node) throw new Error(`The page has no part "${name}".`);
  return /** @type {T} */ (node);
}

/**
 * A round picture of a person: initials on one of six tints, always the same for the same name.
 * @param {string} username
 * @param {string} fullName
 */
export function avatar(username, fullName = username) {
  const words = fullName.split(/\s+/).filter(Boolean).slice(0, 2);
  const tint = [...username].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 6;
  return el(
    "span",
    { class: "avatar", "data-tint": tint, "aria-hidden": "true" },
    words.map((word) => [...word][0]).join("").toUpperCase(),
  );
}

/** A name, in whichever direction it is written, amid text that is written in another. @param {string} name */
export function named(name) {
  return el("bdi", {}, name);
}

/** Text for those who listen to the page. @param {string} text */
export function spoken(text) {
  return el("span", { class: "spoken" }, text);
}
