// Starts the module once, however many loaders and calls there are. The glue that wasm-bindgen wrote has no side
// effects; whoever imports this file gives it the module's bytes in the way that suits the platform.
// @ts-check

/** @import { Source } from "./internal.js" */

import * as glue from "./core_bg.js";

/** How long the module may take to load, in milliseconds. */
const LOADING = 120_000;

let started = false;
/** @type {Promise<void> | undefined} */
let starting;

/** The exports of the Rust module; only to be called once it runs. */
export { glue };

const imports = () => ({ "./core_bg.js": glue });

/** For `JSON.stringify`, which takes no bigint: amounts as decimal strings of base units. @this {object} */
export function toJSON() {
  return Object.fromEntries(Object.entries(this).map(([name, value]) => [name, typeof value === "bigint" ? String(value) : value]));
}

/** @param {any} instance */
function run(instance) {
  if (started) return;
  glue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  glue._jsonWith(toJSON);
  started = true;
}

export const isStarted = () => started;

/** Starts from a compiled module, at once. @param {WebAssembly.Module} module */
export function startSync(module) {
  if (!started) run(new WebAssembly.Instance(module, imports()));
}

/** Starts from a module, bytes, a response, or a URL. Calls share one attempt; after a failure the next one tries again.
 * @param {Source | (() => Source)} source */
export function start(source) {
  if (started) return Promise.resolve();
  starting ??= instantiate(source).then(run).catch((error) => {
    starting = undefined;
    throw error;
  });
  return starting;
}

/** @param {Source | (() => Source)} source */
async function instantiate(source) {
  const given = await (typeof source === "function" ? source() : source);
  if (given instanceof WebAssembly.Module) return WebAssembly.instantiate(given, imports());
  if (given instanceof ArrayBuffer || ArrayBuffer.isView(given)) {
    return (await WebAssembly.instantiate(/** @type {BufferSource} */ (given), imports())).instance;
  }
  const response = given instanceof Response ? given : await fetch(given, { signal: AbortSignal.timeout?.(LOADING) });
  if (!response.ok) throw new Error(`The wasm module can't be loaded: ${response.url} answers ${response.status}.`);
  // A server that sends another type than application/wasm costs streaming, not the start.
  if (response.headers.get("content-type")?.split(";")[0].trim() === "application/wasm" && WebAssembly.instantiateStreaming) {
    return (await WebAssembly.instantiateStreaming(response, imports())).instance;
  }
  return (await WebAssembly.instantiate(await response.arrayBuffer(), imports())).instance;
}
