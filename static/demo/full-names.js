// Notifications as the demo shows them: by the people's full names. What others see of a user on this server is the username.

/** The server's own types, whose titles name the person whom they are about, in the recipient's language. */
const OWN_TYPES = new Set(["new_message", "message_read", "user_online", "user_offline"]);

/**
 * The notification with the full name of its actor. A title of another type stays as it is.
 * @template {{title: string, notification_type?: string, actor?: {username: string} | null}} Row
 * @param {Row} row
 * @param {(username: string) => string} fullName
 * @returns {Row}
 */
export function withFullName(row, fullName) {
  const { actor, title } = row;
  if (!actor) return row;
  const name = fullName(actor.username);
  const isNamed = OWN_TYPES.has(row.notification_type ?? "") && name !== actor.username;
  return { ...row, title: isNamed ? named(title, actor.username, name) : title, actor: { ...actor, username: name } };
}

/**
 * Replaces the name where it stands alone: "adaさん", but not "adapter".
 * @param {string} title
 * @param {string} username
 * @param {string} name
 */
function named(title, username, name) {
  const isLetter = (/** @type {string | undefined} */ character) => /\w/.test(character ?? "");
  for (let at = title.indexOf(username); at >= 0; at = title.indexOf(username, at + 1)) {
    const end = at + username.length;
    if (!isLetter(title[at - 1]) && !isLetter(title[end])) return title.slice(0, at) + name + title.slice(end);
  }
  return title;
}
