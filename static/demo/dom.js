// Small helpers of the demo's views.

import { element } from "../elements/element.js";

/**
 * Finds the element with this `data-part`.
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
 * An avatar: initials on one of six tints; the same name always gets the same tint.
 * @param {string} username
 * @param {string} fullName
 */
export function avatar(username, fullName = username) {
  const words = fullName.split(/\s+/).filter(Boolean).slice(0, 2);
  const tint = [...username].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 6;
  return element(
    "span",
    { class: "avatar", "data-tint": tint, "aria-hidden": "true" },
    words.map((word) => [...word][0]).join("").toUpperCase(),
  );
}

/** A name, isolated from the direction of the text around it. @param {string} name */
export function isolated(name) {
  return element("bdi", {}, name);
}

/** Text for screen readers only. @param {string} text */
export function screenReaderText(text) {
  return element("span", { class: "spoken" }, text);
}
