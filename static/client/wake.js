// The moments at which waiting on makes no sense: the network is back, or somebody looks at the page again.
// Where there is neither (node, a worker) nothing happens.

/**
 * @param {() => void} callback
 * @returns {() => void} stops listening
 */
export function onWake(callback) {
  const page = globalThis.document;
  const seen = () => {
    if (page.visibilityState === "visible") callback();
  };
  globalThis.addEventListener?.("online", callback);
  globalThis.addEventListener?.("pageshow", callback);
  page?.addEventListener("visibilitychange", seen);
  return () => {
    globalThis.removeEventListener?.("online", callback);
    globalThis.removeEventListener?.("pageshow", callback);
    page?.removeEventListener("visibilitychange", seen);
  };
}
