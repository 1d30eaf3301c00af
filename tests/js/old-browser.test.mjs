// The oldest browsers of docs/client.md: the client's tests run without what these lack, and no file of what a page loads
// uses syntax or functions of the browser's that are newer. (Newer functions of the language itself: tsc, by its `lib`.)

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);
const SUITES = ["bell", "choose-stream", "client", "http", "inbox", "labels", "leader-election", "leader-outbox", "page-lifecycle", "presence", "retry", "shared-stream", "socket", "stream", "tabs", "toast"];

/** @param {string[]} args @returns {Promise<{code: number | null, output: string}>} */
function nodeOfThatTime(args) {
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const child = spawn(process.execPath, ["--import", "./tests/js/old-browser.mjs", ...args], { cwd: fileURLToPath(ROOT), env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  return new Promise((done) => child.on("close", (code) => done({ code, output })));
}

test("the client's tests pass without what old browsers lack", async () => {
  const { code, output } = await nodeOfThatTime(["--test", ...SUITES.map((name) => `tests/js/${name}.test.mjs`)]);
  assert.equal(code, 0, output);
});

test("the control: what they lack is an error there", async () => {
  for (const call of ["AbortSignal.any([])", "AbortSignal.timeout(1)", "[].toSorted()", "[].findLast(Boolean)", "URL.canParse('/')"]) {
    const { code, output } = await nodeOfThatTime(["-e", call]);
    assert.equal(code, 1, call);
    assert.match(output, /TypeError: .* is not a function/);
  }
});

// What MDN dates later than Safari 15.4, Chrome and Edge 93 or Firefox 92, and could be written by habit.
const NEWER = {
  js: [
    /\bstatic\s*\{/, // static blocks: Safari 16.4
    /^(?:const|let|var)?[^\n(]*\bawait\b(?=[^\n]*;\n)(?<=^(?:const|let|var|await)[^\n]*)/m, // await at the top level
    /\bAbortSignal\.(any|timeout)\(/, // 17.4; 16
    /\.throwIfAborted\(|\bsignal\??\.reason\b/, // Chrome 100
    /\bstructuredClone\(|\bscheduler\.|\brequestIdleCallback\(|\bURL\.(canParse|parse)\(/,
    /\bnew (CSSStyleSheet|URLPattern|CloseWatcher|Sanitizer|CompressionStream)\b|\badoptedStyleSheets\b/,
    /\.(showPopover|hidePopover|togglePopover|startViewTransition|checkVisibility|moveBefore|setHTML|setHTMLUnsafe)\(|\.inert\b/,
    /\battachInternals\(|\bnavigator\.(userActivation|userAgentData)\b|\bnavigation\./,
    /\(\?<[=!]/, // lookbehind: Safari 16.4
    /\/[a-z]*v[a-z]*\.(test|exec)\(/, // the v flag: 17
    /\bimport\s*\([^)]*,|\bwith\s*\{\s*type:/, // import attributes
  ],
  css: [
    /:has\(|@container\b|@scope\b|@starting-style\b|@property\b|@layer\b/,
    /\boklch\(|\boklab\(|\blch\(|\blab\(|\bround\(|\bmod\(/,
    /[0-9][dsl]v[hwib]\b|\blight-dark\(|\bcolor-mix\(/, // within @supports only
    /(^|[;{\s])(translate|rotate|scale):/, // Chrome 104
    /\binert\b|\bpopover\b|::backdrop|anchor\(/,
    /^\s*&/m, // nesting: 17.2
  ],
};

/** @param {string} folder @returns {string[]} */
function files(folder) {
  return readdirSync(new URL(folder, ROOT), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? (entry.name === "testing" ? [] : files(`${folder}${entry.name}/`)) : [`${folder}${entry.name}`],
  );
}

/** Without comments, and without the blocks that only newer browsers read. @param {string} text @param {"js" | "css"} kind */
function read(text, kind) {
  const plain = text.replace(/\/\*[\s\S]*?\*\//g, "");
  return kind === "js" ? plain.replace(/(^|\s)\/\/[^\n]*/g, "$1") : plain.replace(/^@supports [\s\S]*?^}/gm, "");
}

test("no file of what a page loads uses newer syntax, functions or style", () => {
  const loaded = ["client", "bell", "toast", "elements", "labels"].flatMap((folder) => files(`static/${folder}/`));
  assert.ok(loaded.length > 30);
  for (const file of loaded) {
    const kind = file.endsWith(".css") ? "css" : "js";
    if (file.endsWith(".d.ts")) continue;
    const text = read(readFileSync(new URL(file, ROOT), "utf8"), kind);
    for (const pattern of NEWER[kind]) assert.equal(pattern.exec(text)?.[0], undefined, `${file}: ${pattern}`);
  }
});

test("the control: each of these is found", () => {
  const js = ["class A { static { } }", "const a = await b();\n", "AbortSignal.any([a])", "signal.throwIfAborted()", "structuredClone(a)", "new URLPattern()", "element.showPopover()", "this.attachInternals()", "/(?<=a)b/", "/a/v.test(b)", 'import a from "b" with { type: "json" }'];
  js.forEach((text, place) => assert.match(read(text, "js"), /** @type {RegExp} */ (NEWER.js[place])));
  const css = ["a:has(b) {}", "a { color: oklch(1 0 0) }", "a { height: 100dvh }", "a { rotate: 1deg }", "a::backdrop {}", "a {\n  & b {}\n}"];
  css.forEach((text, place) => assert.match(read(text, "css"), /** @type {RegExp} */ (NEWER.css[place])));
  assert.equal(read("@supports (height: 1dvh) {\n  a { height: 1dvh }\n}", "css"), "");
});
