// `node --import` this file: takes away what the oldest browsers of docs/client.md (Safari 15.4, Chrome and Edge 93,
// Firefox 92) don't have, as far as node has it. From MDN's browser-compat-data 8.1.9; what node needs itself is left. tsc knows them all.

import "node:http"; // it uses some of them itself, once

const MISSING = `
AbortSignal.any AbortSignal.timeout
Array.fromAsync Array.prototype.findLast Array.prototype.findLastIndex Array.prototype.toReversed Array.prototype.toSorted
Array.prototype.toSpliced Array.prototype.with Atomics.waitAsync Blob.prototype.bytes CompressionStream DecompressionStream
Float16Array Headers.prototype.getSetCookie Intl.DurationFormat Intl.Segmenter Intl.supportedValuesOf Iterator.from
Iterator.prototype.drop Iterator.prototype.every Iterator.prototype.filter Iterator.prototype.find Iterator.prototype.flatMap
Iterator.prototype.forEach Iterator.prototype.map Iterator.prototype.reduce Iterator.prototype.some Iterator.prototype.take
Iterator.prototype.toArray Map.groupBy Math.f16round Object.groupBy Promise.try Promise.withResolvers
RegExp.escape Request.prototype.bytes Response.json Response.prototype.bytes Set.prototype.difference
Set.prototype.intersection Set.prototype.isDisjointFrom Set.prototype.isSubsetOf Set.prototype.isSupersetOf
Set.prototype.symmetricDifference Set.prototype.union
URL.canParse URL.parse Uint8Array.fromBase64 Uint8Array.fromHex Uint8Array.prototype.toBase64
Uint8Array.prototype.toHex navigator.userAgentData
`;

export const missing = MISSING.trim().split(/\s+/);

/** The object that has the last name of a path, and that name. @param {string} path @returns {[any, string]} */
function resolve(path) {
  const names = path.split(".");
  const last = /** @type {string} */ (names.pop());
  return [names.reduce((/** @type {any} */ object, name) => object?.[name], globalThis), last];
}

for (const path of missing) {
  const [object, name] = resolve(path);
  if (object) delete object[name];
}
