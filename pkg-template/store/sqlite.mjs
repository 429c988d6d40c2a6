// A store in a file of node:sqlite. Three methods, as the client wants them: a commit is one transaction, which
// is on the disk when `commit` returns (synchronous = FULL), and no second process gets in (locking_mode = EXCLUSIVE).
// @ts-check

/** @import { Store } from "../index.js" */

import { chmodSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { storageError } from "./error.mjs";

const BUSY = 5;
const CORRUPT = [11, 26];

/** Files that this process has open. */
const open = new Set();

/** Opens or creates the file; `storage-locked` if another process has it. @param {string} path */
export async function sqliteStore(path) {
  const file = resolve(path);
  const { DatabaseSync } = await import("node:sqlite").catch((cause) => {
    throw storageError("storage-failed", "node:sqlite is missing: use Node 22.13 or later, or farthing/store/file.", cause);
  });
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  return attempt(file, () => {
    const database = new DatabaseSync(file);
    try {
      const store = new SqliteStore(file, database);
      open.add(file);
      return store;
    } catch (/** @type {any} */ error) {
      database.close();
      throw error;
    }
  });
}

class SqliteStore {
  #file;
  #database;
  #load;
  #put;
  #delete;

  /** @param {string} file @param {import("node:sqlite").DatabaseSync} database */
  constructor(file, database) {
    this.#file = file;
    this.#database = database;
    chmodSync(file, 0o600);
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    database.exec("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;");
    // The lock is taken by the first write, and kept.
    database.exec("BEGIN EXCLUSIVE; COMMIT;");
    this.#load = database.prepare("SELECT key, value FROM entries WHERE key >= ? AND key < ? ORDER BY key");
    this.#put = database.prepare("INSERT INTO entries VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value");
    this.#delete = database.prepare("DELETE FROM entries WHERE key = ?");
  }

  /** @type {Store["load"]} */
  async load(prefix) {
    return attempt(this.#file, () =>
      this.#load.all(prefix, `${prefix}\u{10ffff}`).map(({ key, value }) => [String(key), new Uint8Array(/** @type {Uint8Array} */ (value))]),
    );
  }

  /** @type {Store["commit"]} */
  async commit(writes) {
    attempt(this.#file, () => {
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        for (const [key, value] of writes) {
          if (value === null) this.#delete.run(key);
          else this.#put.run(key, value);
        }
        this.#database.exec("COMMIT");
      } catch (/** @type {any} */ error) {
        if (this.#database.isTransaction ?? true) this.#database.exec("ROLLBACK");
        throw error;
      }
    });
  }

  async close() {
    this.#database.close();
    open.delete(this.#file);
  }
}

/** @template Value @param {string} file @param {() => Value} action */
function attempt(file, action) {
  try {
    return action();
  } catch (/** @type {any} */ error) {
    if (error.errcode === BUSY) {
      throw storageError("storage-locked", `${open.has(file) ? "This process has" : "Another process has"} ${file} open`, error);
    }
    const code = CORRUPT.includes(error.errcode) ? "storage-corrupt" : "storage-failed";
    throw storageError(code, `${file}: ${error.message}`, error);
  }
}
