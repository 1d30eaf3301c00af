import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

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
