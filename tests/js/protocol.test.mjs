import assert from "node:assert/strict";
import { test } from "node:test";

import { closePolicy, parse, resume, socketUrl } from "../../static/client/protocol.js";

test("the range of a close code decides, also for unknown codes", () => {
  for (const code of [4500, 4501, 4502, 4503, 4504, 4999]) assert.equal(closePolicy(code), "stop", String(code));
  for (const code of [1006, 1012, 4000, 4001]) assert.equal(closePolicy(code), "reconnect_promptly", String(code));
  for (const code of [1000, 1001, 1009, 1011, 4002, 4003, 4499, 3000]) assert.equal(closePolicy(code), "reconnect", String(code));
});

test("text that isn't a frame parses to null; unknown types and fields are kept", () => {
  for (const text of ["", "{", "[]", "null", "1", '"hello"', '{"type": 1}', new ArrayBuffer(2)]) assert.equal(parse(text), null);
  assert.deepEqual(parse('{"type":"from_the_future","x":1}'), { type: "from_the_future", x: 1 });
});

test("the URL carries the position, never a ticket", () => {
  assert.equal(socketUrl("https://a.test", null), "wss://a.test/ws/notifications/");
  assert.equal(
    socketUrl("http://a.test:8000/", { since: 7, epoch: "a b" }),
    "ws://a.test:8000/ws/notifications/?since=7&epoch=a+b",
  );
});

test("resume leaves out an unknown epoch", () => {
  assert.deepEqual(resume(3), { type: "resume", since: 3 });
  assert.deepEqual(resume(3, "e"), { type: "resume", since: 3, epoch: "e" });
});
