// Counts what was tried and what it cost, for `target/adversary.json`. `cargo xtask test` says where to write.

import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after } from "node:test";

const scenarios = [];

/** Opens the entry of a scenario; `tried` counts its tricks, and what `lost` adds must stay 0. */
export function entry(against, name, seed) {
  const made = { against, name, seed, tried: {}, lost: 0n, judged: false };
  scenarios.push(made);
  return made;
}

after(() => {
  const folder = process.env.FARTHING_REPORT;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  const written = scenarios.map((one) => ({ ...one, lost: String(one.lost) }));
  writeFileSync(join(folder, `${basename(process.argv[1], ".test.mjs")}.json`), JSON.stringify(written, null, 2));
});
