// The entry point: `const client = connect();`

import { DoorbellClient } from "./client.js";

/**
 * Creates a client and starts it. A refusal by the server is reported by its `error` event.
 * @param {Doorbell.ClientOptions} [options]
 */
export function connect(options) {
  const client = new DoorbellClient(options);
  client.start().catch(() => {}); // reported by the `error` event
  return client;
}
