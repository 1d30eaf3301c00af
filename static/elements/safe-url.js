// URLs come from the publisher of a notification, who isn't trusted: only http(s) URLs become links, nothing that runs code.

/**
 * @param {string | null | undefined} url
 * @param {string} base the page's own URL
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
