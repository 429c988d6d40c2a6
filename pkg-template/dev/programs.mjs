// Finds the two native programs of a local set, which come in npm packages of their own so that nobody else carries them.
// @ts-check

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { DevError } from "./problem.mjs";

const INSTALL = "npm install --save-dev farthing-hub @foundry-rs/anvil";
const WINDOWS = process.platform === "win32";
const HERE = `${process.platform}-${process.arch}`;

/** Anvil's packages name architectures in their own way. */
const ANVIL = { x64: "amd64", arm64: "arm64" };

/** The folder of a package as one of these would find it. @param {string} name @param {string[]} from files or folders */
function folderOf(name, from) {
  for (const place of from) {
    try {
      return dirname(createRequire(pathToFileURL(place)).resolve(`${name}/package.json`));
    } catch {
      // Another place may have it.
    }
  }
  return undefined;
}

/** Where packages are looked for: in the project, and beside this one. */
const places = () => [join(process.cwd(), "index.js"), import.meta.filename];

/** A package's own description. @param {string} folder @returns {{ version?: string, optionalDependencies?: Record<string, string> }} */
const described = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

/**
 * @param {string} wrapper what a person installs @param {string} native what it brings along for this platform
 * @param {string} file @param {string} what for people
 * @returns {{ outer: string, inner: string, found: string }} both packages' folders, and the program
 */
function program(wrapper, native, file, what) {
  const outer = folderOf(wrapper, places());
  if (outer === undefined) throw new DevError("no-program", `The package ${wrapper}, which has ${what}, is not installed: ${INSTALL}`);
  const inner = folderOf(native, [join(outer, "package.json"), ...places()]);
  const found = inner === undefined ? "" : join(inner, file);
  if (inner !== undefined && existsSync(found)) return { outer, inner, found };
  const made = Object.keys(described(outer).optionalDependencies ?? {});
  if (made.includes(native)) {
    throw new DevError("no-program", `The program of ${what} for ${HERE} is not there, as npm left out the optional package ${native}: install again without --omit=optional, or without a node_modules that is another platform's.`);
  }
  const way = wrapper === "farthing-hub" ? "; build it from the repository and name it with --hub-program FILE" : "";
  throw new DevError("no-program", `There is no program of ${what} for ${HERE}: there are packages for ${made.map((name) => name.replace(/^.*\/[^-]*-/, "")).join(", ") || "no platform"}${way}.`);
}

export const anvilProgram = () =>
  program("@foundry-rs/anvil", `@foundry-rs/anvil-${process.platform}-${Reflect.get(ANVIL, process.arch) ?? process.arch}`, `bin/anvil${WINDOWS ? ".exe" : ""}`, "the Ethereum node Anvil").found;

/** Hub and client speak one version's language: packages of others would fail later, and less clearly. @param {string} outer @param {string} inner */
function demandOneVersion(outer, inner) {
  const own = described(fileURLToPath(new URL("../", import.meta.url))).version;
  for (const folder of [outer, inner]) {
    const { version } = described(folder);
    if (version !== own) throw new DevError("other-version", `The hub's package in ${folder} is version ${version}, and farthing is ${own}: npm install --save-dev farthing-hub@${own}`);
  }
}

/** @param {string | undefined} named */
export function hubProgram(named) {
  if (named !== undefined) {
    if (!existsSync(named)) throw new DevError("no-program", `There is no program at ${named}, which --hub-program names.`);
    return named;
  }
  const { outer, inner, found } = program("farthing-hub", `@farthing/hub-${HERE}`, `bin/farthing-hub${WINDOWS ? ".exe" : ""}`, "the hub");
  demandOneVersion(outer, inner);
  return found;
}
