// Who signed a digest, by the package's own module; loaded when the first voucher or certificate is checked.
// @ts-check

/** @import { Recover } from "./internal.js" */

import { readFileSync } from "node:fs";

/** The function that gives the address behind a signature of 65 bytes, and throws if there is none. @returns {Promise<Recover>} */
export async function recoverer() {
  // By its URL, so that no bundle makes a second module of it.
  const { glue, isStarted, startSync } = await import(new URL("../core.mjs", import.meta.url).href);
  if (!isStarted()) startSync(new WebAssembly.Module(readFileSync(new URL("../core_bg.wasm", import.meta.url))));
  return (digest, signature) => glue._signerOf(digest, signature);
}

/** The address behind a signature. @param {Uint8Array} digest @param {Uint8Array} signature */
export const recover = async (digest, signature) => (await recoverer())(digest, signature);
