// Chooses the stream of a client: shared with the other tabs of the same user where the browser supports it, else its own.

import { systemClock } from "./clock.js";
import { ApiError, Http } from "./http.js";
import { PageLifecycle } from "./page-lifecycle.js";
import { API_PATH, socketUrl } from "./protocol.js";
import { retryUntilAnswered } from "./retry.js";
import { InboxStream } from "./stream.js";
import { SharedStream } from "./tabs/shared-stream.js";

/** Part of the name of lock and channel, so that tabs with different messages don't share: raise it with each change of Doorbell.TabMessage. */
const MESSAGES_VERSION = 2;

/**
 * @param {Doorbell.ClientOptions & {http: Http}} options
 * @param {object} client
 * @param {() => Doorbell.Position | null} client.position of its inbox
 * @param {() => Doorbell.Snapshot | null} client.snapshot
 * @param {(id: Doorbell.UserId) => boolean} client.verifyUser whether its inbox is this user's; if not, it stops the stream
 * @returns {Doorbell.Stream}
 */
export function chooseStream(options, { position, snapshot, verifyUser }) {
  const { http, token, user, share = "document" in globalThis, WebSocket, clock = systemClock, lifecycle } = options;
  const { locks = globalThis.navigator?.locks, BroadcastChannel = globalThis.BroadcastChannel } = options;
  const base = options.base || globalThis.location?.origin;
  const url = (/** @type {Doorbell.Position | null} */ from) => socketUrl(base, from, options.socket);
  const ticket = token ? async () => (await http.post("ticket")).ticket : undefined;
  const createStream = (/** @type {typeof position} */ from) => new InboxStream({ http, position: from, url, ticket, WebSocket, clock });

  // Of several installations behind one origin each has users, and tabs, of its own.
  const server = options.api === undefined || options.api === API_PATH ? base : base + options.api;

  const canIdentifyUser = user !== undefined || !token; // the user of a token must be given by the page
  if (!share || !locks || !BroadcastChannel || !canIdentifyUser) return createStream(position);
  return new SharedStream({
    createStream,
    name: async (signal, isResuming, onFailure) => {
      // The `user` option is right when the page is loaded. Back from the back/forward cache, the cookie may be another user's.
      const knownId = isResuming && !token ? undefined : user?.id;
      const id = knownId ?? (await retryUntilAnswered(() => readUserId(http), clock, signal, onFailure));
      return id === null || !verifyUser(id) ? null : `doorbell/${MESSAGES_VERSION} ${server} ${id}`;
    },
    position,
    snapshot,
    lifecycle: lifecycle ?? new PageLifecycle(),
    clock,
    locks,
    BroadcastChannel,
  });
}

/** @param {Http} http */
async function readUserId(http) {
  const { user } = await http.session();
  if (!user) throw new ApiError(401, "unauthenticated", "Not signed in.");
  return user.id;
}
