// Which line a client gets: one shared with the other tabs of the same user where the browser can, else one of its own.

import { systemClock } from "./clock.js";
import { ApiError, Http } from "./http.js";
import { Line } from "./line.js";
import { persist } from "./list.js";
import { socketUrl } from "./protocol.js";
import { SharedLine } from "./shared-line.js";
import { Viewer } from "./viewer.js";

/** Tabs that understand different words don't share: raise it with each change of Doorbell.Say. */
const WORDS_VERSION = 1;

/**
 * @param {Doorbell.ClientOptions & {http: Http}} options
 * @param {object} client
 * @param {() => Doorbell.Position | null} client.position where its inbox stands
 * @param {() => Doorbell.Snapshot | null} client.snapshot
 * @param {(id: number) => boolean} client.recognise is its inbox this user's? If not, it stops the line
 * @returns {Doorbell.Line}
 */
export function chooseLine(options, { position, snapshot, recognise }) {
  const { http, token, user, share = "document" in globalThis, WebSocket, clock = systemClock, viewer } = options;
  const { locks = globalThis.navigator?.locks, BroadcastChannel = globalThis.BroadcastChannel } = options;
  const base = options.base || globalThis.location?.origin;
  const url = (/** @type {Doorbell.Position | null} */ place) => socketUrl(base, place);
  const ticket = token ? async () => (await http.post("ticket")).ticket : undefined;
  const makeLine = (/** @type {typeof position} */ from) => new Line({ http, position: from, url, ticket, WebSocket, clock });

  const isNameable = user !== undefined || !token; // whose a token is, the server doesn't say
  if (!share || !locks || !BroadcastChannel || !isNameable) return makeLine(position);
  return new SharedLine({
    makeLine,
    name: async (signal, isBack) => {
      // A page says rightly whom it was made for. Back from the browser's cache it may find another's cookie.
      const given = isBack && !token ? undefined : user?.id;
      const id = given ?? (await persist(() => whoIsThere(http), clock, signal));
      return id === null || !recognise(id) ? null : `doorbell/${WORDS_VERSION} ${base} ${id}`;
    },
    position,
    snapshot,
    viewer: viewer ?? new Viewer(),
    clock,
    locks,
    BroadcastChannel,
  });
}

/** @param {Http} http */
async function whoIsThere(http) {
  const { user } = await http.session();
  if (!user) throw new ApiError(401, "unauthenticated", "Nobody is signed in.");
  return user.id;
}
