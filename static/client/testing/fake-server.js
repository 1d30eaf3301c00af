// A server in memory that speaks the protocol, for tests of anything built on the client. From the most common to the
// least: `notify`, `read`, `remove` change the inbox and push a live frame; `close(code)` ends every connection;
// `lose(n)`, `double(n)` and `shuffle(n)` make the next n live frames vanish, come twice or in reverse; `rotateEpoch()` makes
// old numbers void.
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
  /** The next connections are closed with this code instead of being greeted. @type {number | null} */
  refuse = null;
  /** The next HTTP requests get this status. @type {number | null} */
  failing = null;
  /** So many of the next answers break off in the middle. */
  cutting = 0;
  /** Called before an HTTP request is answered, so that a test can do something meanwhile. @type {() => Promise<void>} */
  pause = async () => {};
  /** Commands heard, in order. @type {Doorbell.Command[]} */
  commands = [];
  /** HTTP requests answered, as "GET notifications". @type {string[]} */
  requests = [];
  /** Everything a client asked for when connecting. @type {{url: URL, protocols: string[]}[]} */
  handshakes = [];

  /** @type {Set<InstanceType<ReturnType<typeof fakeWebSocket>>>} */
  #sockets = new Set();
  #lose = 0;
  #double = 0;
  #shuffle = 0;
  /** @type {Doorbell.InboxFrame[]} */
  #shuffled = [];
  #connections = 0;

  /** @param {{user?: Doorbell.User}} [options] */
  constructor({ user = { id: 1, username: "ada" } } = {}) {
    this.user = user;
    this.WebSocket = fakeWebSocket(this);
  }

  // What happens -------------------------------------------------------------------------------------------------

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

  /** The next live frames are lost on the way. */
  lose(count = 1) {
    this.#lose = count;
  }

  /** The next live frames come twice. */
  double(count = 1) {
    this.#double = count;
  }

  /** The next live frames come in reverse, once there are so many. */
  shuffle(count = 2) {
    this.#shuffle = count;
  }

  heartbeat() {
    const { revision, unreadCount } = this.inbox;
    this.broadcast({ type: "heartbeat", revision, unread_count: unreadCount, server_time: new Date().toISOString() });
  }

  /** A restored backup. */
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
    if (this.#shuffle > 0) return this.#keep(frame);
    this.broadcast(frame);
    if (this.#double > 0 && this.#double--) this.broadcast(frame);
  }

  /** @param {Doorbell.InboxFrame} frame */
  #keep(frame) {
    this.#shuffled.push(frame);
    if (--this.#shuffle > 0) return;
    for (const late of this.#shuffled.splice(0).reverse()) this.broadcast(late);
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
  left(socket) {
    this.#sockets.delete(socket);
  }

  /**
   * @param {InstanceType<ReturnType<typeof fakeWebSocket>>} socket
   * @param {number} since
   * @param {string} epoch
   */
  #catchUp(socket, since, epoch) {
    const reason = this.inbox.resetReason(since, epoch);
    const whole = { revision: this.inbox.revision, unread_count: this.inbox.unreadCount };
    if (reason) return socket.deliver({ type: "reset", ...whole, reason });
    for (const frame of this.inbox.replay(since, this.pageSize)) socket.deliver(frame);
    socket.deliver({ type: "synced", ...whole });
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
    return this.cutting > 0 && this.cutting-- ? cutOff() : result;
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
        return answer({ user: this.user, csrf_token: "csrf" });
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
    if (!removed) return answer({ detail: "No such thing.", code: "not_found" }, 404);
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

/** A good status, and then the line breaks. */
function cutOff() {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"items": ['));
      controller.error(new TypeError("network error"));
    },
  });
  return new Response(body, { status: 200, headers: { "Content-Type": "application/json" } });
}
