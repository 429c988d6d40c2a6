// The quick start's reader as pictures: the site, and the wallet page as `farthing dev` serves it from the package.
// Run by `node quick/pictures.mjs` in `js-tests/`, with the environment of `cargo xtask test`.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { anvilProgram, hubProgram, packageFolder } from "../support/env.mjs";
import { blocksOf, follow, run } from "../support/markdown.mjs";
import { shoot } from "../support/shoot.mjs";
import { readArticle } from "./browser.mjs";

const cwd = mkdtempSync(join(tmpdir(), "farthing-pictures-"));
const env = { ...process.env, HOME: cwd, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
const running = [];
try {
  mkdirSync(join(cwd, "node_modules"));
  symlinkSync(packageFolder(), join(cwd, "node_modules/farthing"));
  symlinkSync(join(dirname(anvilProgram()), "../.."), join(cwd, "node_modules/@foundry-rs"));
  const dev = run(`exec node node_modules/farthing/bin/start.mjs dev --hub-program ${hubProgram()}`, { cwd, env });
  running.push(dev);
  await dev.says("Ready. Ctrl-C ends it");
  const [site] = blocksOf(fileURLToPath(new URL("../../docs/quick-start.md", import.meta.url))).filter(({ name }) => name === "site.mjs");
  await follow([site, { kind: "sh", name: "", text: "node site.mjs # keeps running\n" }, { kind: "text", name: "", text: "Selling at\n" }], { cwd, env, running });
  const { problems } = await readArticle("http://127.0.0.1:3000/", (page, name) => shoot(page, `dev-${name}`));
  if (problems.length > 0) throw new Error(`pages complained: ${problems.join("; ")}`);
} finally {
  for (const one of running.reverse()) one.signal("SIGINT");
  await Promise.all(running.map((one) => one.ends()));
  rmSync(cwd, { recursive: true, force: true });
}
