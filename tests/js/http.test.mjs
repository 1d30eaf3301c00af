import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, Http, closeDetails } from "../../static/client/http.js";

/**
 * An Http whose requests are recorded and answered by `answer`.
 * @param {(call: string) => Response | Promise<Response>} answer by method and path
 * @param {{base?: string, token?: Doorbell.Token}} [options]
 */
function setUp(answer, options = {}) {
  /** @type {{call: string, headers: Record<string, string>, init: RequestInit}[]} */
  const requests = [];
  const http = new Http({
    base: "http://doorbell.test",
    fetch: async (url, init = {}) => {
      const call = `${init.method} ${String(url).replace("http://doorbell.test", "")}`;
      requests.push({ call, headers: /** @type {Record<string, string>} */ (init.headers), init });
      return answer(call);
    },
    ...options,
  });
  return { http, requests, calls: () => requests.map(({ call }) => call) };
}

/**
 * @param {unknown} body
 * @param {ResponseInit} [init]
 */
const json = (body, init) => new Response(JSON.stringify(body), init);
/** @param {string} token */
const session = (token) => json({ user: { id: 1, username: "ada" }, csrf_token: token });

/** @param {Promise<unknown>} promise @returns {Promise<any>} */
const failure = (promise) => promise.then(() => assert.fail("no error"), (error) => error);

test("paths are below the API, absolute ones aren't; null and undefined are left out of the query", async () => {
  const { http, calls } = setUp(() => json({}), { base: "http://doorbell.test/" });
  await http.get("notifications", { limit: 50, before: null, unread: false, search: undefined });
  await http.get("/demo/ring");
  assert.deepEqual(calls(), ["GET /api/v1/notifications?limit=50&unread=false", "GET /demo/ring"]);
});

test("with the cookie, the first change reads the session and carries its CSRF token; later ones reuse it", async () => {
  const { http, requests, calls } = setUp((call) => (call.includes("session") ? session("one") : json({})));
  await http.post("ticket");
  await http.delete("notifications/1");
  assert.deepEqual(calls(), ["GET /api/v1/session", "POST /api/v1/ticket", "DELETE /api/v1/notifications/1"]);
  assert.deepEqual(requests.map(({ headers }) => headers["X-CSRFToken"]), [undefined, "one", "one"]);
  assert.ok(requests.every(({ init, headers }) => init.credentials === "include" && !headers.Authorization));
  const own = setUp(() => json({}), { base: "" });
  await own.http.get("notifications");
  assert.equal(own.requests[0]?.init.credentials, "same-origin");
});

test("a token may be a function that is asked before each request, and what fails there can be tried again", async () => {
  const tokens = ["one", "two"];
  const { http, requests } = setUp(() => json({}), { token: async () => tokens.shift() ?? Promise.reject(new Error("offline")) });
  await http.get("notifications");
  await http.post("ticket");
  assert.deepEqual(requests.map(({ headers }) => headers.Authorization), ["Bearer one", "Bearer two"]);
  assert.ok(requests.every(({ init }) => init.credentials === "omit"));
  assert.deepEqual([(await failure(http.get("notifications"))).code, requests.length], ["network", 2]);
  const refused = new ApiError(401, "not_signed_in", "expired");
  const over = setUp(() => json({}), { token: () => Promise.reject(refused) });
  assert.equal(await failure(over.http.get("notifications")), refused);
});

test("the CSRF token goes in the header that the server names", async () => {
  const answer = { user: null, csrf_token: "one", csrf_header: "X-Xsrf-Token" };
  const { http, requests } = setUp((call) => (call.includes("session") ? json(answer) : json({})));
  await http.post("ticket");
  assert.deepEqual([requests[1]?.headers["X-Xsrf-Token"], requests[1]?.headers["X-CSRFToken"]], ["one", undefined]);
});

test("a server that doesn't answer in time is a network error; a request that the caller ends stays an abort", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  /** @type {(url: string, init: RequestInit) => Promise<Response>} */
  const hang = (_, { signal }) =>
    new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new DOMException("ended", "AbortError"))));
  const http = new Http({ token: "t", fetch: /** @type {any} */ (hang) });
  const late = failure(http.get("notifications"));
  t.mock.timers.tick(15_000);
  assert.deepEqual([(await late).code, (await late).isTemporary], ["network", true]);
  const ending = new AbortController();
  const ended = failure(http.get("notifications", {}, ending.signal));
  ending.abort();
  assert.equal((await ended).name, "AbortError");
});

test("an outdated CSRF token is replaced once; a fresh one that is refused is an error", async () => {
  const tokens = ["one", "two", "three"];
  let refusals = 1;
  const { http, calls } = setUp((call) => {
    if (call.includes("session")) return session(tokens.shift() ?? "");
    return refusals > 0 && refusals-- ? json({ code: "csrf" }, { status: 403 }) : json({});
  });
  const fresh = await failure(http.post("ticket"));
  assert.deepEqual([fresh.status, fresh.code], [403, "csrf"]);
  refusals = 1;
  await http.post("ticket");
  assert.deepEqual(calls().filter((call) => call.includes("session")).length, 2);
  refusals = 2;
  assert.equal((await failure(http.post("ticket"))).status, 403, "and not a second time");
});

test("a change that fails for another reason is sent once", async () => {
  let isDown = false;
  const { http, calls } = setUp((call) => (call.includes("session") ? session("one") : json({}, { status: isDown ? 500 : 200 })));
  await http.post("ticket");
  isDown = true;
  assert.equal((await failure(http.post("ticket"))).status, 500);
  assert.deepEqual(calls().filter((call) => call.includes("ticket")).length, 2);
});

test("signing in rotates the CSRF token", async () => {
  const { http, requests } = setUp((call) => session(call.startsWith("POST") ? "new" : "old"));
  await http.post("session", { username: "ada", password: "x" });
  await http.post("session");
  assert.deepEqual(requests.map(({ headers }) => headers["X-CSRFToken"]), [undefined, "old", "new"]);
});

test("with an API token there is no session, no CSRF token and no cookie", async () => {
  const { http, requests, calls } = setUp(() => json({}), { token: "secret" });
  await http.patch("profile", { is_hidden: true });
  assert.deepEqual(calls(), ["PATCH /api/v1/profile"]);
  const [{ headers, init } = assert.fail()] = requests;
  assert.deepEqual([headers.Authorization, headers["X-CSRFToken"], init.credentials], ["Bearer secret", undefined, "omit"]);
  assert.equal(init.body, '{"is_hidden":true}');
});

test("a refusal carries status, code, detail and Retry-After; an error page its status alone", async () => {
  const refused = setUp(() => json({ detail: "Slow down.", code: "throttled" }, { status: 429, headers: { "Retry-After": "7" } }));
  const error = await failure(refused.http.get("users"));
  assert.ok(error instanceof ApiError);
  assert.deepEqual([error.status, error.code, error.message, error.retryAfter], [429, "throttled", "Slow down.", 7]);
  const proxy = setUp(() => new Response("<html>Bad gateway</html>", { status: 502 }));
  const page = await failure(proxy.http.get("users"));
  assert.deepEqual([page.status, page.code, page.retryAfter], [502, "unknown", null]);
});

test("204 is null", async () => {
  const { http } = setUp(() => new Response(null, { status: 204 }), { token: "secret" });
  assert.equal(await http.delete("notifications/1"), null);
});

test("network errors, rate limits and server errors are temporary, refusals aren't", async () => {
  const { http } = setUp(() => Promise.reject(new TypeError("fetch failed")));
  const error = await failure(http.get("users"));
  assert.deepEqual([error.status, error.code, error.isTemporary], [0, "network", true]);
  const temporary = [400, 401, 403, 404, 409, 422, 429, 500, 503].filter((status) => new ApiError(status, "x", "x").isTemporary);
  assert.deepEqual(temporary, [429, 500, 503]);
});

test("as a close code, a missing login is 4500 and any other refusal 1000", () => {
  const codes = [401, 403, 404, 422].map((status) => closeDetails(new ApiError(status, "x", "The reason.")));
  assert.deepEqual(codes.map(({ code }) => code), [4500, 4500, 1000, 1000]);
  assert.equal(codes[0]?.reason, "The reason.");
  assert.equal(closeDetails("text").reason, "text");
});

test("a POST of an action goes to the server's own origin, with its login, and a redirect of it isn't followed", async () => {
  const { http, requests, calls } = setUp((call) => (call.includes("session") ? session("one") : new Response("<p>Done</p>")));
  await http.submit("/orders/7/approve/?a=b");
  assert.deepEqual(calls(), ["GET /api/v1/session", "POST /orders/7/approve/?a=b"]);
  const { init, headers } = requests[1] ?? assert.fail();
  assert.deepEqual([init.redirect, init.body, init.credentials, headers["X-CSRFToken"]], ["manual", undefined, "include", "one"]);
  const redirected = setUp(() => /** @type {any} */ ({ type: "opaqueredirect", ok: false, status: 0 }), { token: "t" });
  await redirected.http.submit("/orders/7/approve/");
  assert.equal(redirected.requests[0]?.headers.Authorization, "Bearer t");

  const refused = setUp((call) => (call.includes("session") ? session("one") : new Response("<h1>No</h1>", { status: 409 })));
  assert.equal((await failure(refused.http.submit("/orders/7/approve/"))).status, 409);
});

test("an action is never sent to another origin", async () => {
  const { http, calls } = setUp(() => json({}), { token: "t" });
  for (const path of ["//evil.test/", "/\\evil.test/", "https://evil.test/", "http://doorbell.test/x", "javascript:x", "orders/7", "", "/\t/evil.test/"]) {
    assert.equal((await failure(http.submit(path))).code, "bad_address", path);
  }
  await http.submit("/.//evil.test/");
  assert.deepEqual(calls(), ["POST //evil.test/"], "a path of the server's, by its whole address");
});

test("a 404 that isn't the API's names what is to be included, once; the API's own doesn't", async (t) => {
  const said = t.mock.method(console, "error", () => {});
  const { http } = setUp((call) => (call.endsWith("none") ? json({ code: "not_found", detail: "No." }, { status: 404 }) : new Response("<h1>Not Found</h1>", { status: 404 })));
  assert.equal((await failure(http.get("none"))).code, "not_found");
  assert.equal(said.mock.callCount(), 0);
  for (let i = 0; i < 2; i++) assert.equal((await failure(http.session())).status, 404);
  assert.equal(said.mock.callCount(), 1);
  assert.match(String(said.mock.calls[0]?.arguments[0]), /there is no API at .*session\. Include it .*include\("realtime\.urls"\)/);
});
