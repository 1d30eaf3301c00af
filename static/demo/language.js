// The language of a person's seat: its words, and the formats of numbers and times. What is around the seats is in English.

import { fill, formOf, localeOf } from "../elements/labels.js";
import { relativeTime, timeElement } from "../elements/relative-time.js";
import { screenReaderText } from "./dom.js";
import english from "./words/en.js";

/** @typedef {keyof typeof english} Key */
/** @typedef {Record<Key, string | import("../elements/labels.js").Plural>} Words */
/** @typedef {{default: Words, direction?: string, elements?: object}} Module `elements`: for a language in which they have no words */

// Each path is written out: so storages with hashed names find it.
/** @type {Record<string, () => Promise<Module>>} */
const LANGUAGES = {
  ar: () => import("./words/ar.js"),
  de: () => import("./words/de.js"),
  es: () => import("./words/es.js"),
  fr: () => import("./words/fr.js"),
  ja: () => import("./words/ja.js"),
};

/** The code by which the demo knows a language: `de` for `de-AT`, English for one that it doesn't have. @param {string} language */
export function codeOf(language) {
  const [primary = ""] = language.toLowerCase().split(/[-_]/);
  return primary in LANGUAGES ? primary : "en";
}

/** Event `change`: it is another one. */
export class Language extends EventTarget {
  code = "en";
  locale = localeOf("en");
  direction = "ltr";
  /** Labels for bell, list and toasts. @type {object} */
  elements = {};
  /** @type {Words} */
  #words = english;

  /** The language with its words; English, if they can't be loaded. @param {string} language */
  static async of(language) {
    const made = new Language();
    await made.choose(language).catch((error) => console.warn(`The words of "${language}" can't be loaded, so the seat is in English.`, error));
    return made;
  }

  /** @param {string} language */
  async choose(language) {
    const code = codeOf(language);
    /** @type {Module} */
    const { default: words, direction = "ltr", elements = {} } = (await LANGUAGES[code]?.()) ?? { default: english };
    Object.assign(this, { code, direction, elements, locale: localeOf(code) });
    this.#words = words;
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Words with these values at their {places}; `count` chooses the form of a plural.
   * @param {Key} key
   * @param {Record<string, string | number>} [values]
   */
  t = (key, values = {}) => fill(this.#words[key], values, this.locale);

  /**
   * The same as nodes, for values that are nodes: names, which have a direction of their own.
   * @param {Key} key
   * @param {Record<string, Node>} values
   * @param {{count?: number, isSpoken?: boolean}} [options] `isSpoken`: the words around the values are for screen readers only
   * @returns {(Node | string)[]}
   */
  nodes(key, values, { count, isSpoken = false } = {}) {
    const parts = formOf(this.#words[key], count, this.locale).split(/\{(\w+)\}/);
    return parts
      .map((part, index) => (index % 2 === 0 ? (isSpoken && part ? screenReaderText(part) : part) : (values[part] ?? "")))
      .filter((part) => part !== "");
  }

  /** @param {number} number */
  number(number) {
    return number.toLocaleString(this.locale, { useGrouping: false });
  }

  /** @param {string} iso */
  ago(iso) {
    return relativeTime(iso, Date.now(), this.#ofTimes);
  }

  /** @param {string} iso */
  time(iso) {
    return timeElement(iso, this.#ofTimes);
  }

  /** Of the elements' words, times need one that the seat has as well. @returns {import("../elements/relative-time.js").Language} */
  get #ofTimes() {
    const { locale, t } = this;
    return { locale, t: () => t("justNow") };
  }
}

/**
 * Puts the words of a language into what the page has marked: `data-t` for a text, `data-label` for an accessible name.
 * @param {ParentNode} root
 * @param {Language} language
 * @param {string} name whose seat it is
 */
export function translate(root, { t }, name) {
  const key = (/** @type {Element} */ node, /** @type {string} */ attribute) => /** @type {Key} */ (node.getAttribute(attribute));
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(key(node, "data-t"));
  for (const node of root.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", t("labelled", { name, what: t(key(node, "data-label")) }));
  }
}
