// `farthing paywall report`: what a site took in, from its store alone.
// @ts-check

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { postgres, report, reportLines, sqlite } from "../paywall/index.mjs";

/** A wrong use, with what to do. */
export class Misuse extends Error {}

/** Whether the file is ours: a report must not lay tables into another's. @param {string} file */
function isStore(file) {
  try {
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      return database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'farthing_facts'").get() !== undefined;
    } finally {
      database.close();
    }
  } catch {
    return false;
  }
}

/** Opens what `--store` names. @param {string} name */
async function storeAt(name) {
  if (!/^postgres(ql)?:/.test(name)) {
    if (!existsSync(name)) throw new Misuse(`There is no file ${name}.`);
    if (!isStore(name)) throw new Misuse(`${name} is no paywall's store. Nothing was changed.`);
    const store = sqlite(name);
    return { store, end: () => store.end() };
  }
  // The package brings no driver along: it is the site's own.
  const require = createRequire(resolve("package.json"));
  /** @type {any} */
  let pg;
  try {
    pg = await import(pathToFileURL(require.resolve("pg")).href);
  } catch {
    throw new Misuse("A PostgreSQL store needs the package pg: run this in your site's folder, or npm install pg there.");
  }
  const { Pool } = pg.default ?? pg;
  const pool = new Pool({ connectionString: name, max: 1 });
  const store = postgres(pool);
  return { store, end: () => store.end().then(() => pool.end()) };
}

/** @param {{ store?: string, since?: string, until?: string, json?: boolean }} options */
export async function printReport({ store: name, since, until, json }) {
  if (name === undefined) throw new Misuse("Say where the paywall's store is: --store FILE, or postgres://…");
  const times = Object.fromEntries(Object.entries({ since, until }).flatMap(([key, text]) => (text === undefined ? [] : [[key, moment(key, text)]])));
  const { store, end } = await storeAt(name);
  try {
    const told = await report({ store, ...times });
    const text = json ? JSON.stringify(told, (_, value) => (typeof value === "bigint" ? String(value) : value), 2) : reportLines(told).join("\n");
    process.stdout.write(`${text}\n`);
  } catch (/** @type {any} */ error) {
    // The URL has a password, and drivers may repeat it.
    throw new Error(String(error.message).replaceAll(name, "the store"));
  } finally {
    await end();
  }
}

/** @param {string} name @param {string} text */
function moment(name, text) {
  const time = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text);
  if (Number.isNaN(time)) throw new Misuse(`--${name} must be a day or a time: 2026-01-31.`);
  return time;
}
