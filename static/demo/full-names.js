// Notifications as the demo shows them: by the people's full names. What others see of a user on this server is the username.

/** Titles of the server's own types, by the name of the person whom they are about. @type {Record<string, (name: string) => string>} */
const TITLES = {
  new_message: (name) => `New message from ${name}`,
  message_read: (name) => `Message read by ${name}`,
  user_online: (name) => `${name} is online`,
  user_offline: (name) => `${name} is offline`,
};

/**
 * The notification with the full name of its actor. A title that isn't the server's own stays as it is.
 * @template {{title: string, notification_type?: string, actor?: {username: string} | null}} Row
 * @param {Row} row
 * @param {(username: string) => string} fullName
 * @returns {Row}
 */
export function withFullName(row, fullName) {
  const { actor } = row;
  if (!actor) return row;
  const name = fullName(actor.username);
  const titled = TITLES[row.notification_type ?? ""];
  const title = titled && row.title === titled(actor.username) ? titled(name) : row.title;
  return { ...row, title, actor: { ...actor, username: name } };
}
