// For Node: the module is compiled at the first call, and state is kept in a file.
// @ts-check

import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { face } from "./face.mjs";
import { demandWebAssembly, isStarted, startSync } from "./core.mjs";

async function init() {
  if (isStarted()) return;
  demandWebAssembly();
  startSync(new WebAssembly.Module(file() ?? (await inside())));
}

/** The module's file beside this one. A bundler for servers may have left it behind, and writes what it likes for import.meta.url. */
function file() {
  try {
    // Not literally in `new URL`, which bundlers would rewrite to an address for browsers, or warn of.
    const [name, place] = ["./core_bg.wasm", import.meta.url];
    return readFileSync(new URL(name, place));
  } catch {
    return undefined;
  }
}

/** The copy inside of JavaScript, which a bundler takes along. */
const inside = async () => (await import("./inside.mjs")).bytes();

/** Not needed in Node, where the module is loaded at the first call; here so that shared code can call it. */
export const initAsync = () => init();

const environment = {
  /** A file of node:sqlite at `path`, or under ~/.farthing for the client's `name`.
   * @param {string} name @param {string} [path] */
  async openStore(name, path) {
    const { sqliteStore } = await import("./store/sqlite.mjs");
    return sqliteStore(path ?? join(homedir(), ".farthing", `${name}.sqlite`));
  },
};

export const { connect, errorCodes, preload, _signerOf, _testing } = face(init, environment);

export { formatUnits, parseUnits } from "./units.mjs";
