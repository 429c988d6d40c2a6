// The chain of a grant: `word(units)` is the root, 32 random bytes, and the hash of each word is the one below it. Kept are
// the root and every 128th word, so that any word takes at most 128 hashes.
// @ts-check

/** @import { Hex } from "./index.js" */

import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesOf, hexOf, joined } from "./wire.mjs";

/** Words from one that is kept to the next. */
export const STRIDE = 128;

/** @typedef {{ units: number, tip: Hex, marks: Uint8Array[] }} Chain `marks[i]` is `word(i * STRIDE)`, the last one the root. */

/** @param {Uint8Array} word @param {number} times */
export function hashed(word, times) {
  for (let done = 0; done < times; done += 1) word = keccak_256(word);
  return word;
}

/** The chain of a root. @param {Uint8Array} root @param {number} units @returns {Chain} */
export function chainOf(root, units) {
  /** @type {Uint8Array[]} */
  const marks = [];
  let word = root;
  if (units % STRIDE !== 0) marks.push(root);
  for (let place = units; place > 0; place -= 1) {
    if (place % STRIDE === 0) marks.push(word);
    word = keccak_256(word);
  }
  return { units, tip: hexOf(word), marks: [word, ...marks.reverse()] };
}

/** `word(place)`. @param {Chain} chain @param {number} place @returns {Hex} */
export function wordAt({ units, marks }, place) {
  const index = Math.ceil(place / STRIDE);
  return hexOf(hashed(marks[index], Math.min(index * STRIDE, units) - place));
}

/** The condition key of a stream under `HashChain(tip, units)`. @param {Hex} tip @param {number} units @param {number} expiry seconds @returns {Hex} */
export function streamKey(tip, units, expiry) {
  const slot = (/** @type {string} */ hex) => bytesOf(`0x${hex.padStart(64, "0")}`);
  const params = keccak_256(joined(bytesOf(tip), slot(units.toString(16)).subarray(28)));
  return hexOf(keccak_256(joined(slot("fa02"), params, slot(expiry.toString(16)))));
}
