// The way in: `const client = connect();`

import { DoorbellClient } from "./client.js";

/**
 * A client that has started. Should the server refuse, its `error` event says so.
 * @param {Doorbell.ClientOptions} [options]
 */
export function connect(options) {
  const client = new DoorbellClient(options);
  client.start().catch(() => {}); // told by `error`
  return client;
}
