#!/usr/bin/env node
// Starts the hub's program for this platform, which an optional dependency brings along, and hands signals on.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const name = `@farthing/hub-${process.platform}-${process.arch}`;

function program() {
  const require = createRequire(import.meta.url);
  const { optionalDependencies: made = {} } = require("../package.json");
  try {
    const folder = dirname(require.resolve(`${name}/package.json`));
    return join(folder, "bin", process.platform === "win32" ? "farthing-hub.exe" : "farthing-hub");
  } catch {
    const here = `${process.platform}-${process.arch}`;
    const left = `the program for ${here} is not there, as npm left out the optional package ${name}: install again without --omit=optional, or without a node_modules that is another platform's.`;
    const none = `there is no program for ${here}: there are packages for ${Object.keys(made).map((each) => each.replace(/^.*\/hub-/, "")).join(", ")}. Build it from the repository.`;
    console.error(`farthing-hub: ${Object.hasOwn(made, name) ? left : none}`);
    process.exit(1);
  }
}

const child = spawn(program(), process.argv.slice(2), { stdio: "inherit" });
// A terminal's Ctrl-C reaches the hub by itself; what is sent to this process alone does not.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => signal === "SIGINT" || child.kill(signal));
child.on("error", (error) => {
  console.error(`farthing-hub: the program can't be started: ${error.message}`);
  process.exitCode = 1;
});
child.on("exit", (code, signal) => {
  process.exitCode = code ?? (signal === null ? 1 : 128);
});
