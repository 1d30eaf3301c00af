// Each language has the keys and places of English and the plural forms of its own; labels are filled, languages are found.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { badgeText, countLabel } from "../../static/bell/format.js";
import { fill, localeOf } from "../../static/elements/labels.js";
import { Language, codeOf } from "../../static/demo/language.js";
import seatEnglish from "../../static/demo/words/en.js";
import { relativeTime } from "../../static/elements/relative-time.js";
import english from "../../static/labels/en.js";

const FOLDER = new URL("../../static/labels/", import.meta.url);
const DEMO = new URL("../../static/demo/", import.meta.url);
const LANGUAGES = readdirSync(FOLDER).map((name) => name.replace(".js", ""));
/** @typedef {import("../../static/elements/labels.js").Words} Words */
/** @param {string} language @param {URL} [folder] @returns {Promise<Words>} */
const wordsOf = async (language, folder = FOLDER) => (await import(new URL(`${language}.js`, folder).href)).default;

/** @param {string} form */
const places = (form) => [...form.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();

/**
 * What is wrong with these words.
 * @param {object} words
 * @param {string} language
 * @param {object} [originals] the English ones
 */
function faults(words, language, originals = english) {
  const found = Object.keys({ ...originals, ...words }).filter((key) => !(key in originals) || !(key in words));
  for (const [key, label] of Object.entries(words)) {
    const original = /** @type {Words} */ (originals)[/** @type {keyof Words} */ (key)];
    if (typeof label !== typeof original) found.push(`${key}: plural`);
    const forms = typeof label === "string" ? [label] : Object.values(label);
    const wanted = typeof original === "string" ? original : (original?.other ?? "");
    if (typeof label !== "string") {
      const { pluralCategories } = new Intl.PluralRules(language).resolvedOptions();
      if (pluralCategories.slice().sort().join() !== Object.keys(label).sort().join()) found.push(`${key}: forms`);
    }
    for (const form of forms) {
      if (form.trim() === "" || places(form).join() !== places(wanted).join()) found.push(`${key}: places`);
    }
  }
  return found;
}

test("German, French, Spanish and Japanese are there, and no language lacks a key, a place or a form", async () => {
  assert.deepEqual(LANGUAGES, ["de", "en", "es", "fr", "ja"]);
  for (const language of LANGUAGES) assert.deepEqual(faults(await wordsOf(language), language), [], language);
});

test("the control: a missing key, place or form is found, and one too many", async () => {
  const { empty, ...incomplete } = await wordsOf("fr");
  assert.deepEqual(faults(/** @type {Words} */ (incomplete), "fr"), ["empty"]);
  const french = await wordsOf("fr");
  assert.deepEqual(faults({ ...french, warning: "Attention" }, "fr"), ["warning: places"]);
  assert.deepEqual(faults({ ...french, more: { one: "{count} autre", other: "{count} autres" } }, "fr"), ["more: forms"]);
  assert.deepEqual(faults(/** @type {any} */ ({ ...french, none: "rien" }), "fr"), ["none", "none: plural"]);
});

test("the demo's words are there in each of its languages, and its labels in Arabic are labels", async () => {
  const folder = new URL("words/", DEMO);
  const languages = readdirSync(folder).map((name) => name.replace(".js", ""));
  assert.deepEqual(languages, ["ar", "de", "en", "es", "fr", "ja"]);
  for (const language of languages) assert.deepEqual(faults(await wordsOf(language, folder), language, seatEnglish), [], language);
  const { elements } = await import("../../static/demo/words/ar.js");
  const leftOut = ["badgeFull", "actionTitle", "announced"]; // without words
  assert.deepEqual(faults(elements, "ar").sort(), leftOut.sort());
});

test("each of the demo's words is used, and each that is used is there", () => {
  const sources = readdirSync(DEMO).filter((name) => name.endsWith(".js")).map((name) => new URL(name, DEMO));
  const page = readFileSync(new URL("../../config/demo/templates/demo.html", import.meta.url), "utf8");
  const text = sources.map((source) => readFileSync(source, "utf8")).join("\n");
  for (const key of Object.keys(seatEnglish)) assert.ok(text.includes(`"${key}"`) || page.includes(`"${key}"`), key);
  const marked = [...page.matchAll(/data-(?:t|label)="(\w+)"/g)].map(([, key]) => key ?? "");
  assert.ok(marked.length > 10);
  for (const key of marked) assert.ok(key in seatEnglish, key);
});

test("a seat's language is one that the demo has, its words come with it, and names keep their own direction", async () => {
  assert.deepEqual(["de-AT", "JA", "en_GB", "pt", ""].map(codeOf), ["de", "ja", "en", "en", "en"]);
  const language = await Language.of("ar");
  let changes = 0;
  language.addEventListener("change", () => changes++);
  assert.deepEqual([language.code, language.direction, "open" in language.elements], ["ar", "rtl", true]);
  await language.choose("ja");
  assert.deepEqual([changes, language.code, language.direction, language.elements], [1, "ja", "ltr", {}]);
  assert.equal(language.t("lost", { seconds: 3 }), "切断、3秒後に再接続");
  const name = /** @type {any} */ ({ isNode: true });
  assert.deepEqual(language.nodes("goTo", { name }), [name, "さんへ"]);
  assert.equal(language.ago(new Date().toISOString()), "たった今");
  await language.choose("pt");
  assert.deepEqual([language.code, language.t("send")], ["en", "Send"]);
});

test("values are put in their places once, and numbers and forms are the language's", () => {
  assert.equal(fill("{action}: {title}", { action: "Open", title: "{action} $& {constructor}" }, "en"), "Open: {action} $& {constructor}");
  assert.equal(fill("{constructor}", {}, "en"), "{constructor}");
  const polish = { one: "{count} nowe", few: "{count} nowe!", many: "{count} nowych", other: "{count} nowego" };
  assert.deepEqual([1, 3, 5].map((count) => fill(polish, { count }, "pl")), ["1 nowe", "3 nowe!", "5 nowych"]);
  assert.equal(fill({ one: "one", other: "{count}" }, { count: 3 }, "ar-EG"), "٣", "a form that is missing: other");
  assert.equal(fill("{count}", { count: 12345 }, "en"), "12345");
});

test("the page's language, in the browser's variety of it; what is no language is English", () => {
  assert.equal(localeOf("de-AT", ["de-DE"]), "de-AT");
  assert.equal(localeOf("de_AT", []), "de-AT");
  assert.equal(localeOf("en", ["fr", "en-GB"]), "en-GB");
  assert.equal(localeOf("DE", ["en-GB"]), "de");
  for (const none of ["x", "english!", "{{ LANGUAGE_CODE }}", ""]) assert.equal(localeOf(none, []), "en", none);
});

test("counts and times are in the language", async () => {
  const words = await wordsOf("ja");
  /** @type {import("../../static/elements/labels.js").Translate} */
  const t = (key, values = {}) => fill(words[key], values, "ja");
  assert.equal(countLabel(3, "", t), "通知、未読3件");
  assert.equal(badgeText(100, { locale: "ja", t }), "99+");
  const now = Date.parse("2026-01-02T12:00:00Z");
  assert.equal(relativeTime("2026-01-02T11:59:30Z", now, { locale: "ja", t }), "たった今");
  assert.match(relativeTime("2026-01-02T11:55:00Z", now, { locale: "ja", t }), /^5 ?分前$/);
});
