// Relative times ("5 min. ago"). One timer refreshes every <time> that was created here; it stops when none is left.

const REFRESH_MS = 20_000;
const UNITS = /** @type {[Intl.RelativeTimeFormatUnit, number][]} */ ([
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
]);
const format = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

/** @type {Set<HTMLTimeElement>} */
const rendered = new Set();
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;

/**
 * @param {string} iso
 * @param {number} [now] milliseconds since 1970
 */
export function relativeTime(iso, now = Date.now()) {
  const seconds = (new Date(iso).getTime() - now) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit);
  }
  return "just now";
}

/** @param {string} iso */
export function timeElement(iso) {
  const time = document.createElement("time");
  time.dateTime = iso;
  time.title = new Date(iso).toLocaleString();
  time.textContent = relativeTime(iso);
  rendered.add(time);
  timer ??= setInterval(refresh, REFRESH_MS);
  return time;
}

function refresh() {
  for (const time of rendered) {
    if (time.isConnected) time.textContent = relativeTime(time.dateTime);
    else rendered.delete(time);
  }
  if (rendered.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}
