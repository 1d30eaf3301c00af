// The icons of notifications, by the name that their type declares. A page adds its own: icons.set("parcel", "M3 7l9-5 …").

/** Paths of 24 × 24, filled by the rule evenodd. @type {Map<string, string>} */
export const icons = new Map([
  ["check", "M9.2 16.4 5 12.2l-1.8 1.8 6 6L21 8.2l-1.8-1.8Z"],
  ["clock", "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm-1 5h2v4.5l3.6 2.1-1 1.7-4.6-2.7Z"],
  ["coin", "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm0 2.2a7.8 7.8 0 1 0 0 15.6 7.8 7.8 0 0 0 0-15.6ZM11 7h2v10h-2Z"],
  ["comment", "M4 4h16a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2h-7l-5 4v-4H4a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2Z"],
  ["envelope", "M4 5h16a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2Zm0 2.3v2.2l8 5 8-5V7.3l-8 5Z"],
  ["file", "M6 2h8l5 5v15H6Zm7.5 1.8v3.9h3.9Z"],
  ["megaphone", "M3 9.5v5h3l1.5 5.5h3L9.2 14.5H10l8 4.5V5l-8 4.5Zm16.5-1v7a3.6 3.6 0 0 0 0-7Z"],
  ["user", "M12 12a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9Zm0 2c-4.4 0-8 2.2-8 5v2h16v-2c0-2.8-3.6-5-8-5Z"],
]);

/** @param {string | undefined} name */
function icon(name) {
  const path = icons.get(name ?? "");
  if (!path) return null;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path);
  shape.setAttribute("fill-rule", "evenodd");
  svg.append(shape);
  return svg;
}

/**
 * What stands beside a text: who it comes from, else its type's icon. Nothing: the style sheet draws the level's sign.
 * @param {{actor?: {username: string} | null, icon?: string}} row
 * @param {(name: string) => string} initials
 */
export function sign(row, initials) {
  return row.actor ? initials(row.actor.username) : icon(row.icon);
}
