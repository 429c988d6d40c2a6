// Where everything is, as `cargo xtask` says in the environment.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

function wanted(...names) {
  const name = names.find((candidate) => process.env[candidate]);
  if (name === undefined) throw new Error(`${names.join(" or ")} is not set: run this by cargo xtask test`);
  return process.env[name];
}

/** The installed package's folder. */
export const packageFolder = () => wanted("FARTHING_PKG_DIR", "FARTHING_PKG");

/** The package's entry for Node, as `import "farthing"` would find it. */
export const farthing = () => import(pathToFileURL(join(packageFolder(), "node.mjs")));

/** Another file of the package. */
export const packageFile = (path) => import(pathToFileURL(join(packageFolder(), path)));

export const hubProgram = () => wanted("FARTHING_HUB_BIN");
export const anvilProgram = () => wanted("FARTHING_ANVIL_BIN");

/** The browser's program. */
export function chromium() {
  const program = process.env.CHROMIUM || "/usr/bin/chromium";
  if (!existsSync(program)) throw new Error(`There is no Chromium at ${program}: set CHROMIUM`);
  return program;
}

/** A compiled contract: `{ abi, bytecode }`. */
export function artifact(name) {
  const { abi, bytecode } = JSON.parse(readFileSync(join(wanted("FARTHING_ARTIFACTS"), `${name}.json`), "utf8"));
  return { abi, bytecode: typeof bytecode === "string" ? bytecode : bytecode.object };
}
