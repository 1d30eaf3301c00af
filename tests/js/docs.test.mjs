import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import "./seeded-jitter.mjs";

test("the example test in docs/client.md runs, and ends connected and complete", async () => {
  const page = await readFile(new URL("../../docs/client.md", import.meta.url), "utf8");
  const [, example] = /```js\n(import { DoorbellClient }.*?)```/s.exec(page) ?? assert.fail("no example");
  const code = example?.replaceAll('from "..', `from "${new URL("../../static", import.meta.url).href}`);
  const source = `${code}\nexport { client, server };`;
  const { client, server } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
  assert.equal(client.inbox.items[0].title, "Hello");
  assert.equal(client.state, "connected");
  assert.equal(client.inbox.revision, server.inbox.revision);
  client.stop();
});

test("the example of `decorate` in docs/client.md gives a notification about a message a link", async (t) => {
  const page = await readFile(new URL("../../docs/client.md", import.meta.url), "utf8");
  const [, example] = /```js\n(import { follow }.*?)```/s.exec(page) ?? assert.fail("no example");
  /** @type {any[]} */
  const shown = [];
  const toasts = Object.assign(new EventTarget(), { show: (/** @type {any} */ toast) => shown.push(toast), dismiss() {} });
  const client = new EventTarget();
  Object.assign(globalThis, { document: { querySelector: () => toasts }, client });
  t.after(() => ["document", "client"].forEach((name) => Reflect.deleteProperty(globalThis, name)));
  const code = example?.replace('from "./', `from "${new URL("../../static", import.meta.url).href}/`);
  await import(`data:text/javascript,${encodeURIComponent(code ?? "")}`);
  for (const message_id of [7, null]) client.dispatchEvent(new CustomEvent("toast", { detail: { id: 1, title: "x", message_id } }));
  assert.deepEqual(shown.map(({ url, action }) => [url, action]), [["/messages/7/", "Read"], [undefined, undefined]]);
});
