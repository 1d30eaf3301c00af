// Relative times ("5 min. ago"). One timer refreshes every <time> that was created here; it stops when none is left.

import { ENGLISH } from "./labels.js";

const REFRESH_MS = 20_000;
const UNITS = /** @type {[Intl.RelativeTimeFormatUnit, number][]} */ ([
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
]);

/** @typedef {Pick<import("./labels.js").Labels, "locale" | "t">} Language */

/** @type {Map<HTMLTimeElement, Language>} */
const rendered = new Map();
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;

/**
 * @param {string} iso
 * @param {number} [now] milliseconds since 1970
 * @param {Language} [language]
 */
export function relativeTime(iso, now = Date.now(), { locale, t } = ENGLISH) {
  const seconds = (new Date(iso).getTime() - now) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) < length) continue;
    return new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" }).format(Math.trunc(seconds / length), unit);
  }
  return t("justNow");
}

/**
 * @param {string} iso
 * @param {Language} [language]
 */
export function timeElement(iso, language = ENGLISH) {
  const time = document.createElement("time");
  time.dateTime = iso;
  time.title = new Date(iso).toLocaleString(language.locale);
  time.textContent = relativeTime(iso, Date.now(), language);
  rendered.set(time, language);
  timer ??= setInterval(refresh, REFRESH_MS);
  return time;
}

function refresh() {
  for (const [time, language] of rendered) {
    if (time.isConnected) time.textContent = relativeTime(time.dateTime, Date.now(), language);
    else rendered.delete(time);
  }
  if (rendered.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}
