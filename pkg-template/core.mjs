// Starts the module once, however many loaders and calls there are. The glue that wasm-bindgen wrote has no side
// effects; whoever imports this file gives it the module's bytes in the way that suits the platform.
// @ts-check

/** @import { Source } from "./internal.js" */

import * as glue from "./core_bg.js";
import { fault } from "./faults.mjs";
import { tellDefect } from "./log.mjs";

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
  glue._jsonWith(toJSON, tellDefect);
  started = true;
}

export const isStarted = () => started;

/** Starts from a compiled module, at once. @param {WebAssembly.Module} module */
export function startSync(module) {
  if (!started) run(new WebAssembly.Instance(module, imports()));
}

/** Starts from a module, bytes, a response, or a URL. Calls share one attempt; after a failure the next one tries again.
 * @param {Source | (() => Source)} source @param {() => Promise<BufferSource>} [otherwise] The bytes, where the source gives none. */
export function start(source, otherwise) {
  if (started) return Promise.resolve();
  starting ??= instantiate(source, otherwise).then(run).catch((error) => {
    starting = undefined;
    throw error;
  });
  return starting;
}

/** What to do where the module is not where it should be. */
const ELSEWHERE = "Where a bundler does not copy core_bg.wasm, serve it yourself and call initAsync(url) first, or import farthing/inline, which has it inside.";

/** The first bytes of any module. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d];

/** @param {string} message @param {unknown} [cause] */
const notLoaded = (message, cause) => fault("not-loaded", `${message} Nothing was signed or sent.`, cause);

/** Refuses where no module can run at all. */
export function demandWebAssembly() {
  if (typeof WebAssembly === "object") return;
  throw notLoaded("There is no WebAssembly here, which the engine runs in: a browser in lockdown mode and Node with --jitless have none. Allow it for this site.");
}

/** @param {Source | (() => Source)} source @param {() => Promise<BufferSource>} [otherwise] */
async function instantiate(source, otherwise) {
  demandWebAssembly();
  const given = await (typeof source === "function" ? source() : source);
  if (given instanceof WebAssembly.Module) return compiled("The wasm module", () => WebAssembly.instantiate(given, imports()));
  if (given instanceof ArrayBuffer || ArrayBuffer.isView(given)) return ofBytes("The wasm module", /** @type {BufferSource} */ (given));
  if (otherwise === undefined) return fetched(given);
  return fetched(given).catch(async (error) => {
    if (error.code !== "not-loaded" || error.cause instanceof WebAssembly.CompileError) throw error;
    return ofBytes("The wasm module", await otherwise());
  });
}

/** @param {string | URL | Response} given */
async function fetched(given) {
  const address = String(typeof given === "object" && "url" in given ? given.url : given);
  const name = `The wasm module at ${address}`;
  const file = readFile(address);
  if (file !== undefined) return ofBytes(name, file);
  const response = await arrived(name, async () => (typeof given === "object" && "url" in given ? given : fetch(given, { signal: AbortSignal.timeout?.(LOADING) })));
  if (!response.ok) throw notLoaded(`${name} is not there: the server answers ${response.status}. ${ELSEWHERE}`);
  const type = response.headers.get("content-type")?.split(";")[0].trim();
  // A server that sends another type than application/wasm costs streaming, not the start.
  if (type === "application/wasm" && WebAssembly.instantiateStreaming) {
    return compiled(name, async () => (await WebAssembly.instantiateStreaming(response, imports())).instance);
  }
  const bytes = await arrived(name, () => response.arrayBuffer());
  const head = new Uint8Array(bytes, 0, Math.min(4, bytes.byteLength));
  if (!MAGIC.every((byte, index) => head[index] === byte)) throw notLoaded(`${name} is none: the server sends ${type ?? "something"} in its place. ${ELSEWHERE}`);
  return ofBytes(name, bytes);
}

/** A file's bytes, where a page's code runs in Node, as in tests with jsdom. @param {string} address */
function readFile(address) {
  if (!address.startsWith("file:")) return undefined;
  const { process } = /** @type {any} */ (globalThis);
  return /** @type {BufferSource | undefined} */ (process?.getBuiltinModule?.("node:fs").readFileSync(process.getBuiltinModule("node:url").fileURLToPath(address)));
}

/** @template Value @param {string} name @param {() => Promise<Value>} work */
async function arrived(name, work) {
  try {
    return await work();
  } catch (/** @type {any} */ cause) {
    throw notLoaded(`${name} can't be fetched: ${cause?.message ?? cause}. Try again when the network is back; a page's Content-Security-Policy must name its origin in connect-src.`, cause);
  }
}

/** @param {string} name @param {BufferSource} bytes */
const ofBytes = (name, bytes) => compiled(name, async () => (await WebAssembly.instantiate(bytes, imports())).instance);

/** @template Value @param {string} name @param {() => Promise<Value>} work */
async function compiled(name, work) {
  try {
    return await work();
  } catch (/** @type {any} */ cause) {
    const refused = /content.security.policy|\bCSP\b|code generation/i.test(cause?.message ?? "");
    const what = refused
      ? "may not be compiled here: this page's Content-Security-Policy must have 'wasm-unsafe-eval' in script-src."
      : cause instanceof WebAssembly.LinkError
        ? "is of another version of the package. Serve the one that came with this JavaScript."
        : `can't be compiled: ${cause?.message ?? cause}. ${ELSEWHERE}`;
    throw notLoaded(`${name} ${what}`, cause);
  }
}
