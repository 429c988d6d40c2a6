// The hash of chains and of typed data.
// @ts-check

import { keccakP, keccak_256 } from "@noble/hashes/sha3.js";

export const keccak = keccak_256;

/** A word, hashed so many times. It fits into one block, so the permutation alone is enough. @param {Uint8Array} word 32 bytes @param {number} times */
export function hashed(word, times) {
  const block = new Uint8Array(200);
  const state = new Uint32Array(block.buffer);
  block.set(word);
  for (let done = 0; done < times; done += 1) {
    block.fill(0, 32);
    block[32] = 0x01;
    block[135] = 0x80;
    keccakP(state);
  }
  return block.slice(0, 32);
}
