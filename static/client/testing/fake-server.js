// A server in memory that implements the protocol, for tests of anything built on the client. Most used first: `notify`,
// `read`, `remove` change the inbox and push a live frame; `close(code)` closes every connection; `lose(n)`, `double(n)` and
// `shuffle(n)` drop, duplicate or reverse the next n live frames; `rotateEpoch()` invalidates all earlier revisions.
//
//   const server = new FakeServer();
//   const client = new DoorbellClient({ base: server.base, fetch: server.fetch, WebSocket: server.WebSocket });

import { FakeInbox } from "./fake-inbox.js";
import { fakeWebSocket } from "./fake-websocket.js";
import { CommandType, FrameType } from "../protocol.js";

export class FakeServer {
  base = "http://doorbell.test";
  inbox = new FakeInbox();
  /** @type {Doorbell.Presence[]} */
  presence = [];
  heartbeatSeconds = 25;
  pageSize = 100;
  /** When set, new connections are closed with this code before `hello`. @type {number | null} */
  refuse = null;
  /** When set, HTTP requests are answered with this status. @type {number | null} */
  failing = null;
  /** This many of the next HTTP responses are truncated. */
  cutting = 0;
  /** Awaited before an HTTP request is answered, so that a test can do something in between. @type {() => Promise<void>} */
  pause = async () => {};
  /** Commands received, in order. @type {Doorbell.Command[]} */
  commands = [];
  /** HTTP requests answered, as "GET notifications". @type {string[]} */
  requests = [];
  /** The handshakes of all connections. @type {{url: URL, protocols: string[]}[]} */
  handshakes = [];

  /** @type {Set<InstanceType<ReturnType<typeof fakeWebSocket>>>} */
  #sockets = new Set();
  #lose = 0;
  #double = 0;
  #shuffle = 0;
  /** @type {Doorbell.InboxFrame[]} */
  #heldBack = [];
  #connections = 0;

  /** @param {{user?: Doorbell.User}} [options] */
  constructor({ user = { id: 1, username: "ada" } } = {}) {
    this.user = user;
    this.WebSocket = fakeWebSocket(this);
  }

  // Changes and faults -------------------------------------------------------------------------------------------

  /** One revision with these notifications. @param {Partial<Doorbell.Notification>[]} notifications */
  notify(...notifications) {
    this.#push(this.inbox.add(notifications.length > 0 ? notifications : [{}]));
  }

  /** @param {number[]} ids */
  read(...ids) {
    this.#push(this.inbox.setRead(ids, true));
  }

  /** @param {number[]} ids */
  unread(...ids) {
    this.#push(this.inbox.setRead(ids, false));
  }

  /** @param {number[]} ids */
  remove(...ids) {
    this.#push(this.inbox.remove(ids));
  }

  /** The next live frames are lost. */
  lose(count = 1) {
    this.#lose = count;
  }

  /** The next live frames are sent twice. */
  double(count = 1) {
    this.#double = count;
  }

  /** The next live frames are held back until there are this many, then sent in reverse. */
  shuffle(count = 2) {
    this.#shuffle = count;
  }

  heartbeat() {
    const { revision, unreadCount } = this.inbox;
    this.broadcast({ type: "heartbeat", revision, unread_count: unreadCount, server_time: new Date().toISOString() });
  }

  /** As after a restored backup: a new epoch. */
  rotateEpoch() {
    this.inbox.epoch = `${this.inbox.epoch}+`;
  }

  /** @param {number} code */
  close(code, reason = "") {
    for (const socket of this.#sockets) socket.end(code, reason);
    this.#sockets.clear();
  }

  /** @param {Doorbell.Frame} frame */
  broadcast(frame) {
    for (const socket of this.#sockets) socket.deliver(frame);
  }

  get connections() {
    return this.#sockets.size;
  }

  /** @param {Doorbell.InboxFrame | null} frame */
  #push(frame) {
    if (!frame) return;
    if (this.#lose > 0) return void this.#lose--;
    if (this.#shuffle > 0) return this.#holdBack(frame);
    this.broadcast(frame);
    if (this.#double > 0 && this.#double--) this.broadcast(frame);
  }

  /** @param {Doorbell.InboxFrame} frame */
  #holdBack(frame) {
    this.#heldBack.push(frame);
    if (--this.#shuffle > 0) return;
    for (const late of this.#heldBack.splice(0).reverse()) this.broadcast(late);
  }

  // The socket ---------------------------------------------------------------------------------------------------

  /**
   * @param {InstanceType<ReturnType<typeof fakeWebSocket>>} socket
   * @param {string} address
   * @param {string[]} protocols
   */
  accept(socket, address, protocols) {
    const url = new URL(address);
    this.handshakes.push({ url, protocols });
    if (this.refuse !== null) return socket.end(this.refuse, "");
    this.#sockets.add(socket);
    const since = url.searchParams.get("since");
    const epoch = url.searchParams.get("epoch") ?? this.inbox.epoch;
    const { revision, unreadCount } = this.inbox;
    socket.deliver({
      type: "hello",
      protocol: 1,
      connection_id: `c${++this.#connections}`,
      user: this.user,
      epoch: this.inbox.epoch,
      revision,
      unread_count: unreadCount,
      resumed: since !== null && this.inbox.resetReason(Number(since), epoch) === null,
      heartbeat_seconds: this.heartbeatSeconds,
      server_time: new Date().toISOString(),
    });
    socket.deliver({ type: "presence_state", online: this.presence.filter((entry) => entry.is_online) });
    this.#catchUp(socket, since === null ? revision : Number(since), epoch);
  }

  /**
   * @param {InstanceType<ReturnType<typeof fakeWebSocket>>} socket
   * @param {string} text
   */
  command(socket, text) {
    /** @type {Doorbell.Command} */
    const command = JSON.parse(text);
    this.commands.push(command);
    if (command.type === CommandType.PING) socket.deliver({ type: FrameType.PONG, ref: command.ref });
    else this.#catchUp(socket, command.since, command.epoch ?? this.inbox.epoch);
  }

  /** @param {InstanceType<ReturnType<typeof fakeWebSocket>>} socket */
  disconnected(socket) {
    this.#sockets.delete(socket);
  }

  /**
   * @param {InstanceType<ReturnType<typeof fakeWebSocket>>} socket
   * @param {number} since
   * @param {string} epoch
   */
  #catchUp(socket, since, epoch) {
    const reason = this.inbox.resetReason(since, epoch);
    const current = { revision: this.inbox.revision, unread_count: this.inbox.unreadCount };
    if (reason) return socket.deliver({ type: "reset", ...current, reason });
    for (const frame of this.inbox.replay(since, this.pageSize)) socket.deliver(frame);
    socket.deliver({ type: "synced", ...current });
  }

  // HTTP ---------------------------------------------------------------------------------------------------------

  /** @type {typeof globalThis.fetch} */
  fetch = async (address, init = {}) => {
    const url = new URL(String(address));
    const call = `${init.method ?? "GET"} ${url.pathname.replace("/api/v1/", "")}`;
    this.requests.push(call);
    if (this.failing !== null) return answer({ detail: "Failing.", code: "failing" }, this.failing);
    const body = typeof init.body === "string" ? JSON.parse(init.body) : {};
    const result = this.#answer(call, url, body);
    await this.pause();
    init.signal?.throwIfAborted();
    return this.cutting > 0 && this.cutting-- ? truncated() : result;
  };

  /**
   * @param {string} call
   * @param {URL} url
   * @param {any} body
   */
  #answer(call, url, body) {
    const before = Number(url.searchParams.get("before")) || undefined;
    const limit = Number(url.searchParams.get("limit")) || undefined;
    switch (call) {
      case "GET session":
        return answer({ user: this.user, csrf_token: "csrf", csrf_header: "X-CSRFToken" });
      case "GET notifications":
        return answer(this.inbox.list({ before, limit }));
      case "GET presence":
        return answer({ items: this.presence });
      case "POST ticket":
        return answer({ ticket: `t${this.requests.length}`, expires_in: 30 });
      case "POST notifications/read":
      case "POST notifications/unread":
        return answer(this.#mark(body.all ? [...this.inbox.rows.keys()] : body.ids, call.endsWith("/read")));
    }
    const removed = /^DELETE notifications\/(\d+)$/.exec(call);
    if (!removed) return answer({ detail: "Not found.", code: "not_found" }, 404);
    this.remove(Number(removed[1]));
    return new Response(null, { status: 204 });
  }

  /**
   * @param {number[]} ids
   * @param {boolean} isRead
   * @returns {Doorbell.ReadAnswer}
   */
  #mark(ids, isRead) {
    const frame = this.inbox.setRead(ids, isRead);
    this.#push(frame);
    const { revision, unreadCount } = this.inbox;
    return { revision, unread_count: unreadCount, ids: (isRead ? frame?.read : frame?.unread) ?? [] };
  }
}

/** @param {unknown} body */
function answer(body, status = 200) {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
}

/** A good status, but the body breaks off. */
function truncated() {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"items": ['));
      controller.error(new TypeError("network error"));
    },
  });
  return new Response(body, { status: 200, headers: { "Content-Type": "application/json" } });
}
