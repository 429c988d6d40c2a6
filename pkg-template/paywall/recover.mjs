// Who signed a digest, by the package's own module; loaded when the first voucher or certificate is checked.
// @ts-check

/** @import { Recover } from "./internal.js" */

import { readFileSync } from "node:fs";
import { glue, isStarted, startSync } from "../core.mjs";

/** The address behind a signature of 65 bytes; throws if there is none. @type {Recover} */
export function recover(digest, signature) {
  if (!isStarted()) startSync(new WebAssembly.Module(readFileSync(new URL("../core_bg.wasm", import.meta.url))));
  return glue._signerOf(digest, signature);
}
