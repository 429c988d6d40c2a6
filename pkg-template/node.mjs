// For Node: the module is compiled at the first call, synchronously, and state is kept in a file.
// @ts-check

import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { face } from "./face.mjs";
import { startSync, isStarted } from "./core.mjs";

function init() {
  if (!isStarted()) startSync(new WebAssembly.Module(readFileSync(new URL("./core_bg.wasm", import.meta.url))));
}

/** Not needed in Node, where the module is loaded at the first call; here so that shared code can call it. */
export const initAsync = async () => init();

const environment = {
  /** A file of node:sqlite at `path`, or under ~/.farthing for the client's `name`.
   * @param {string} name @param {string} [path] */
  async openStore(name, path) {
    const { sqliteStore } = await import("./store/sqlite.mjs");
    return sqliteStore(path ?? join(homedir(), ".farthing", `${name}.sqlite`));
  },
};

export const { connect, errorCodes, _testing } = face(init, environment);
