// Addresses come from whoever published the notification: nothing that runs code may become a link.

/**
 * @param {string | null | undefined} url
 * @param {string} base the page's own address
 * @returns {string | null} absolute http(s), or null
 */
export function safeUrl(url, base) {
  if (!url) return null;
  try {
    const parsed = new URL(url, base);
    return parsed.protocol === "http:" || parsed.protocol === "https:" ? parsed.href : null;
  } catch {
    return null;
  }
}
