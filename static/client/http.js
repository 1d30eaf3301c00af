// HTTP client of the API: authentication (cookie with CSRF token, or Bearer), JSON requests and responses, one error class.

import { API_PATH, CloseCode } from "./protocol.js";

const TIMEOUT_MS = 15_000;

/** The server refused, or could not be reached (status 0, code `network`). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} detail
   * @param {number | null} [retryAfter] seconds
   */
  constructor(status, code, detail, retryAfter = null) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later. */
  get isTemporary() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/**
 * An HTTP error as close code and reason, so that a missing login looks the same over HTTP as on the socket.
 * @param {any} error
 */
export function closeDetails(error) {
  const isUnauthenticated = error?.status === 401 || error?.status === 403;
  return { code: isUnauthenticated ? CloseCode.UNAUTHENTICATED : CloseCode.NORMAL, reason: String(error?.message ?? error) };
}

/** An error after which a request is tried again, in the words of the `state` event. @param {unknown} error */
export function failureReason(error) {
  return error instanceof ApiError ? error.message : String(error);
}

export class Http {
  #base;
  #api;
  #token;
  #fetch;
  /** @type {string | null} */
  #csrfToken = null;
  #csrfHeader = "X-CSRFToken"; // the server says if the project has another
  #hasReportedMissing = false;

  /**
   * `base` is the server's origin, empty for the page's own; `api` the API's path there; `token` an API token or the
   * project's own, used instead of the cookie: a string, or a function that is called before each request.
   * @param {{base?: string, api?: string, token?: Doorbell.Token, fetch?: typeof globalThis.fetch}} [options]
   */
  constructor({ base = "", api = API_PATH, token, fetch = globalThis.fetch } = {}) {
    this.#base = base.replace(/\/$/, "");
    this.#api = api;
    this.#token = token;
    this.#fetch = fetch.bind(globalThis);
  }

  /**
   * @param {string} path below the API's, or absolute
   * @param {Record<string, string | number | boolean | null | undefined>} [query] null and undefined are left out
   * @param {AbortSignal} [signal]
   */
  get(path, query = {}, signal) {
    const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    return this.#request("GET", search ? `${path}?${search}` : path, undefined, signal);
  }

  /**
   * @param {string} path
   * @param {unknown} [body]
   */
  post(path, body) {
    return this.#mutate("POST", path, body);
  }

  /**
   * @param {string} path
   * @param {unknown} body
   */
  patch(path, body) {
    return this.#mutate("PATCH", path, body);
  }

  /** @param {string} path */
  delete(path) {
    return this.#mutate("DELETE", path, undefined);
  }

  /**
   * Sends a POST to a path of this server that isn't the API's: an answer is read only if it is a refusal.
   * @param {string} path
   */
  async submit(path) {
    const { origin } = new URL(this.#base || globalThis.location.href);
    const url = parsed(path, origin);
    // Elsewhere the login would be given away.
    if (!path.startsWith("/") || url?.origin !== origin) throw new ApiError(0, "bad_address", "This isn't an address of the server.");
    await this.#mutate("POST", url, undefined);
  }

  /**
   * Reads the session, and with it the CSRF token for later calls.
   * @returns {Promise<Doorbell.Session>}
   */
  async session() {
    return this.get("session");
  }

  /**
   * Sends a change. With a cookie it carries a CSRF token; an outdated token (after a sign-in in another tab) is fetched
   * again, once.
   * @param {string} method
   * @param {string | URL} path
   * @param {unknown} body
   */
  async #mutate(method, path, body) {
    if (this.#token) return this.#request(method, path, body);
    const hadToken = this.#csrfToken !== null;
    if (!hadToken) await this.session();
    try {
      return await this.#request(method, path, body);
    } catch (error) {
      if (!hadToken || !(error instanceof ApiError) || error.status !== 403) throw error;
      await this.session();
      return this.#request(method, path, body);
    }
  }

  /**
   * @param {string} method
   * @param {string | URL} path a URL: not the API's
   * @param {unknown} body
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async #request(method, path, body, signal) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (!this.#token && method !== "GET" && this.#csrfToken) headers[this.#csrfHeader] = this.#csrfToken;

    const limit = limited(signal, TIMEOUT_MS);
    try {
      const token = this.#token;
      if (typeof token === "function") headers.Authorization = `Bearer ${await readToken(token, limit)}`;
      else if (token) headers.Authorization = `Bearer ${token}`;
      const isApi = typeof path === "string";
      const address = !isApi ? path.href : this.#base + (path.startsWith("/") ? path : this.#api + path);
      const response = await this.#send(address, limit, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: this.#token ? "omit" : this.#base ? "include" : "same-origin",
        keepalive: method !== "GET", // a change made by following a link must outlive the page
        signal: limit.signal,
        redirect: isApi ? "follow" : "manual", // the page that a form would lead to, or another host
      });
      if (response.type === "opaqueredirect" || (!isApi && response.ok)) return null;
      const answer = await readJson(response, limit);
      if (isApi && response.status === 404 && !answer?.code) this.#reportMissing(response.url || address);
      if (!response.ok) throw errorFrom(response, answer);
      if (typeof answer?.csrf_token === "string") this.#csrfToken = answer.csrf_token; // signing in rotates it
      if (typeof answer?.csrf_header === "string") this.#csrfHeader = answer.csrf_header;
      return answer;
    } finally {
      limit.end();
    }
  }

  /** A 404 without a code isn't the API's. For the developer of the page, once. @param {string} url */
  #reportMissing(url) {
    if (this.#hasReportedMissing) return;
    this.#hasReportedMissing = true;
    console.error(
      `Doorbell: there is no API at ${url}. Include it in the project's urls.py: ` +
        'urlpatterns += [path("", include("realtime.urls"))]. If it is there under a prefix, {% doorbell %} or ' +
        '{% doorbell "addresses" %} in the template names it to the page, or connect({ api, socket }).',
    );
  }

  /**
   * @param {string} url
   * @param {ReturnType<typeof limited>} limit
   * @param {RequestInit} init
   */
  async #send(url, limit, init) {
    try {
      return await this.#fetch(url, init);
    } catch (error) {
      if (isAbort(error) && !limit.isOver()) throw error;
      throw new ApiError(0, "network", "The server could not be reached.");
    }
  }
}

/**
 * @param {string} path
 * @param {string} base
 */
function parsed(path, base) {
  try {
    return new URL(path, base);
  } catch {
    return null;
  }
}

/**
 * @param {() => string | Promise<string>} token
 * @param {ReturnType<typeof limited>} limit
 */
async function readToken(token, limit) {
  /** @type {Promise<never>} */
  const ended = new Promise((_, reject) => {
    limit.signal.addEventListener("abort", () => reject(new DOMException("ended", "AbortError")));
  });
  try {
    return await Promise.race([token(), ended]);
  } catch (error) {
    if (error instanceof ApiError || (isAbort(error) && !limit.isOver())) throw error;
    throw new ApiError(0, "network", "The login could not be renewed."); // to be tried again, like a failed request
  }
}

/**
 * A signal that is aborted with the caller's, or when the time is over. (AbortSignal.any and timeout do the same, in
 * browsers newer than the oldest of docs/client.md.)
 * @param {AbortSignal | undefined} signal
 * @param {number} ms
 */
function limited(signal, ms) {
  const aborting = new AbortController();
  let isOver = false;
  const abort = () => aborting.abort();
  const timer = setTimeout(() => {
    isOver = true;
    abort();
  }, ms);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  };
  return { signal: aborting.signal, isOver: () => isOver, end };
}

/** By the caller, or because the page is left. @param {unknown} error */
function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/**
 * @param {Response} response
 * @param {ReturnType<typeof limited>} limit
 */
async function readJson(response, limit) {
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch (error) {
    if (isAbort(error) && !limit.isOver()) throw error;
    if (!response.ok) return null; // a proxy's error page: the status is enough
    // Truncated, or the page of a captive portal: not the server's answer, whatever the status is.
    throw new ApiError(0, "network", "The server's answer could not be read.");
  }
}

/**
 * @param {Response} response
 * @param {any} answer
 */
function errorFrom(response, answer) {
  const seconds = Number(response.headers.get("Retry-After"));
  return new ApiError(
    response.status,
    answer?.code ?? "unknown",
    answer?.detail ?? `The server answered with status ${response.status}.`,
    seconds > 0 ? seconds : null,
  );
}
