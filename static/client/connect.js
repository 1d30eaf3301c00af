// The entry point: `const client = connect();`

import { DoorbellClient } from "./client.js";
import { pageAddresses } from "./page-addresses.js";

/**
 * Creates a client and starts it. A refusal by the server is reported by its `error` event. The addresses are those that the
 * page names, unless `base` names another server.
 * @param {Doorbell.ClientOptions} [options]
 */
export function connect(options) {
  const client = new DoorbellClient({ ...(options?.base ? {} : pageAddresses()), ...options });
  client.start().catch(() => {}); // reported by the `error` event
  return client;
}
