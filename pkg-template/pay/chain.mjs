// The chain of a grant: `word(units)` is the root, 32 random bytes, and the hash of each word is the one below it. Kept are
// the root and every 128th word, so that any word takes at most 128 hashes.
// @ts-check

/** @import { Hex } from "./index.js" */

import { keccakP } from "@noble/hashes/sha3.js";
import { bytesOf, hexOf, joined } from "./wire.mjs";

/** Words from one that is kept to the next. */
export const STRIDE = 128;

/** Words that are kept, each with its place, the lowest first. @typedef {[place: number, word: Uint8Array][]} Marks */

/** Keccak-256 of what fits into one block. A page carries the permutation alone, since words and keys are short.
 * @param {Uint8Array} bytes fewer than 136 */
export function keccak(bytes) {
  const block = new Uint8Array(200);
  block.set(bytes);
  block[bytes.length] ^= 1;
  block[135] ^= 0x80;
  keccakP(new Uint32Array(block.buffer));
  return block.slice(0, 32);
}

/** @param {Uint8Array} word @param {number} times */
function hashed(word, times) {
  for (let done = 0; done < times; done += 1) word = keccak(word);
  return word;
}

/** The chain of a root. @param {Uint8Array} root @param {number} units @returns {{ tip: Hex, marks: Marks }} */
export function chainOf(root, units) {
  /** @type {Marks} */
  const marks = [[units, root]];
  for (let place = Math.ceil(units / STRIDE) * STRIDE - STRIDE; place >= 0; place -= STRIDE) {
    const [above, word] = marks[0];
    marks.unshift([place, hashed(word, above - place)]);
  }
  return { tip: hexOf(marks[0][1]), marks };
}

/** `word(place)`, from the next one that is kept. @param {Marks} marks @param {number} place @returns {Hex} */
export function wordAt(marks, place) {
  const [above, word] = /** @type {Marks[0]} */ (marks.find(([kept]) => kept >= place));
  return hexOf(hashed(word, above - place));
}

/** The condition key of a stream under `HashChain(tip, units)`. @param {Hex} tip @param {number} units @param {number} expiry seconds @returns {Hex} */
export function streamKey(tip, units, expiry) {
  const slot = (/** @type {string} */ hex) => bytesOf(`0x${hex.padStart(64, "0")}`);
  const params = keccak(joined(bytesOf(tip), slot(units.toString(16)).subarray(28)));
  return hexOf(keccak(joined(slot("fa02"), params, slot(expiry.toString(16)))));
}
