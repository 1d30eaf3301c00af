/**
 * A property that was set before the element was defined shadows the class's accessor: deletes it and sets it again.
 * https://web.dev/articles/custom-elements-best-practices (make properties lazy)
 * @param {any} node
 * @param {string} name
 */
export function upgradeProperty(node, name) {
  if (!Object.hasOwn(node, name)) return;
  const value = node[name];
  delete node[name];
  node[name] = value;
}
