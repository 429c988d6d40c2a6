// A folder in which the packed package is installed, and copies of the applications: each finds the package beside itself,
// and the tools above.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const here = join(import.meta.dirname, "..");

/** Whether what takes long is done as well. */
export const whole = process.env.FARTHING_PACKAGING !== "quick";

/** Installs into a new `work/<name>`. */
export function workFolder(name) {
  const folder = join(here, "work", name);
  rmSync(folder, { recursive: true, force: true });
  const to = join(folder, "node_modules/farthing");
  mkdirSync(to, { recursive: true });
  const tgz = process.env.FARTHING_PKG_TGZ;
  assert.ok(tgz, "FARTHING_PKG_TGZ names no packed package: run this by cargo xtask test --only packaging");
  const { status, stderr } = spawnSync("tar", ["xzf", tgz, "--strip-components=1", "-C", to], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  cpSync(join(here, "apps"), folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  return folder;
}

/** A file of one of the tools. */
export const tool = (path) => join(here, "node_modules", path);

/** Runs a program to its end: `{ code, said }`, with what it said on both outputs. */
export async function run(program, args, { cwd, env = {} } = {}) {
  const child = spawn(program, args, { cwd, env: { ...process.env, NODE_OPTIONS: "", NODE_TEST_CONTEXT: undefined, NEXT_TELEMETRY_DISABLED: "1", ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (said += bytes));
  const code = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  return { code, said };
}

/** The same with this Node. */
export const node = (args, options) => run(process.execPath, args, options);
