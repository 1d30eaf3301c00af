/**
 * A property that was set before the element's class was there hides the class's own: take it over.
 * https://web.dev/articles/custom-elements-best-practices (make properties lazy)
 * @param {any} node
 * @param {string} name
 */
export function adopt(node, name) {
  if (!Object.hasOwn(node, name)) return;
  const value = node[name];
  delete node[name];
  node[name] = value;
}
