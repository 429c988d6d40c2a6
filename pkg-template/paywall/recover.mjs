// Who signed a digest, by the package's own module; loaded when the first voucher or certificate is checked.
// @ts-check

/** @import { Recover } from "./internal.js" */

/** The function that gives the address behind a signature of 65 bytes, and throws if there is none. @returns {Promise<Recover>} */
export async function recoverer() {
  // It stays outside of our bundle, so that there is one module; a site's own bundler takes it along.
  const { _signerOf } = await import("../node.mjs");
  return _signerOf();
}

/** The address behind a signature. @param {Uint8Array} digest @param {Uint8Array} signature */
export const recover = async (digest, signature) => (await recoverer())(digest, signature);
