// The program `farthing` of the installed package, as `npx farthing` runs it.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageFolder } from "./env.mjs";

/** Runs it to its end; `onLine` sees each line as it comes. Gives `{ code, out, err }`. */
export function farthingProgram(args, { env = {}, onLine = () => {} } = {}) {
  const { bin } = JSON.parse(readFileSync(join(packageFolder(), "package.json"), "utf8"));
  const { FARTHING_KEY: _, ...rest } = process.env;
  const child = spawn(process.execPath, [join(packageFolder(), bin.farthing), ...args], { env: { ...rest, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err, line] = ["", "", ""];
  child.stdout.setEncoding("utf8").on("data", (chunk) => {
    out += chunk;
    const lines = (line + chunk).split("\n");
    line = lines.pop();
    lines.forEach(onLine);
  });
  child.stderr.setEncoding("utf8").on("data", (chunk) => (err += chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

/** The time that a line of it says it waits for, Unix seconds; `undefined` if it says something else. */
export const waitsUntil = (line) => line.match(/^waiting until \S+ \((\d+)\)/)?.[1];
