// The words of an element, and its formats of numbers and times, in the page's language: that of the closest `lang`.
//
// English is compiled in; another language is a module, loaded when an element needs it. Until it is there words are empty,
// rather than English first, for WAIT_MS at most. An element's property `labels` wins over both, so it brings any other language.

import english from "../labels/en.js";

/** @typedef {Partial<Record<Intl.LDMLPluralRule, string>>} Plural the forms of a label, by the language's plural rules */
/** @typedef {Record<keyof typeof english, string | Plural>} Words */
/** @typedef {(key: keyof typeof english, values?: Record<string, string | number>) => string} Translate */

// Each path is written out: so storages with hashed names, and bundlers, find it.
/** @type {Record<string, () => Promise<{default: Words}>>} */
const LANGUAGES = {
  de: () => import("../labels/de.js"),
  es: () => import("../labels/es.js"),
  fr: () => import("../labels/fr.js"),
  ja: () => import("../labels/ja.js"),
};
const WAIT_MS = 1_000;

/** By language; null while it is waited for. @type {Map<string, Words | null>} */
const loaded = new Map();
/** Of the elements on the page. @type {Set<Labels>} */
const connected = new Set();
/** @type {MutationObserver | undefined} */
let observer;

export class Labels {
  #node;
  #onChange;
  #language = "en";
  /** @type {Partial<Words>} */
  #own = {};
  /** For Intl: the language as a tag that it takes. */
  locale = "en";

  /**
   * @param {Element} node
   * @param {() => void} onChange called when the words are others, but not by `connect`
   */
  constructor(node, onChange) {
    this.#node = node;
    this.#onChange = onChange;
  }

  get own() {
    return this.#own;
  }

  /** Labels that win over those of the language. */
  set own(labels) {
    this.#own = labels ?? {};
    if (connected.has(this)) this.#onChange();
  }

  /** The element is on the page, and its language is what that place says. Returns whether it is another. */
  connect() {
    connected.add(this);
    observer ??= new MutationObserver(() => {
      for (const labels of connected) if (labels.#choose()) labels.#onChange();
    });
    observer.observe(document, { subtree: true, attributeFilter: ["lang"] });
    return this.#choose();
  }

  disconnect() {
    connected.delete(this);
    if (connected.size === 0) observer?.disconnect();
  }

  /**
   * A label with these values at its {places}; `count` chooses the form of a plural.
   * @type {Translate}
   */
  t = (key, values = {}) => {
    const primary = primaryOf(this.locale);
    const words = primary in LANGUAGES ? loaded.get(primary) : english;
    return fill(this.#own[key] ?? words?.[key] ?? "", values, this.locale);
  };

  /** Returns whether the language is another. */
  #choose() {
    const language = languageOf(this.#node);
    if (language === this.#language) return false;
    this.#language = language;
    this.locale = localeOf(language);
    load(primaryOf(this.locale), () => connected.forEach((labels) => labels.#onChange()));
    return true;
  }
}

/** For what is on no page, or has no language. */
export const ENGLISH = { locale: "en", t: /** @type {Translate} */ ((key, values = {}) => fill(english[key], values, "en")) };

/**
 * @param {string | Plural} label
 * @param {Record<string, string | number>} values
 * @param {string} locale
 */
export function fill(label, values, locale) {
  return formOf(label, values.count, locale).replace(/\{(\w+)\}/g, (place, name) => {
    const value = Object.hasOwn(values, name) ? values[name] : place;
    return typeof value === "number" ? value.toLocaleString(locale, { useGrouping: false }) : String(value);
  });
}

/**
 * A label with its {places}: of a plural, the form for this number.
 * @param {string | Plural} label
 * @param {unknown} count
 * @param {string} locale
 */
export function formOf(label, count, locale) {
  return typeof label === "string" ? label : (label[new Intl.PluralRules(locale).select(Number(count))] ?? label.other ?? "");
}

/** What the closest `lang` says, also outside the shadow tree that the element is in. @param {Element} node */
function languageOf(node) {
  for (let at = /** @type {Element | undefined} */ (node); at; at = /** @type {Partial<ShadowRoot>} */ (at.getRootNode()).host) {
    const found = at.closest("[lang]");
    if (found) return found.getAttribute("lang") || "en";
  }
  return "en";
}

/**
 * The language as Intl takes it: in the browser's own variety of it ("en-GB"), if the page names none; English, if it is none.
 * @param {string} language
 * @param {readonly string[]} [preferred]
 */
export function localeOf(language, preferred = globalThis.navigator?.languages ?? []) {
  try {
    const [tag = "en"] = Intl.getCanonicalLocales(language.trim().replaceAll("_", "-"));
    return preferred.find((other) => other.startsWith(`${tag}-`)) ?? tag;
  } catch {
    return "en";
  }
}

/** @param {string} locale */
function primaryOf(locale) {
  return locale.split("-", 1)[0] ?? "en";
}

/**
 * @param {string} primary
 * @param {() => void} onChange called when its words are there, and when they aren't after all
 */
async function load(primary, onChange) {
  const request = LANGUAGES[primary];
  if (!request || loaded.has(primary)) return;
  /** @param {Words} words */
  const set = (words) => {
    loaded.set(primary, words);
    onChange();
  };
  loaded.set(primary, null);
  const timer = setTimeout(() => set(english), WAIT_MS);
  try {
    set((await request()).default);
  } catch (error) {
    console.warn(`Doorbell: the labels in "${primary}" can't be loaded, so bell and toasts are in English.`, error);
    set(english);
  }
  clearTimeout(timer);
}
