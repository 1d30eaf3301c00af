// Where the API and the socket are, as the server has written it into the page (the template tag {% doorbell %}); nothing in a
// page without it. Only paths count: whatever stands in a page, no request goes to another origin.

/** @returns {{api?: string, socket?: string}} */
export function pageAddresses(document = globalThis.document) {
  const written = document?.querySelector?.('script[type="application/json"][data-doorbell]')?.textContent;
  if (!written) return {};
  try {
    const { api, socket } = JSON.parse(written);
    return isPath(api) && isPath(socket) ? { api, socket } : {};
  } catch {
    return {};
  }
}

/** @param {unknown} text */
function isPath(text) {
  return typeof text === "string" && /^\/(?![/\\])/.test(text);
}
