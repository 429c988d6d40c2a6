// The store in a file, for the processes of one machine. The file is written by a thread of its own: while it waits for the
// disk, requests go on and gather for the next transaction.
// @ts-check

import { PaywallError } from "../problem.mjs";
import { Thread, program } from "../thread.mjs";
import { Sqlite } from "./database.mjs";
import { Ledger } from "./ledger.mjs";

/** Opens or creates the file. @param {string} path @param {{ lease?: number }} [options] */
export function sqlite(path, options = {}) {
  if (typeof path !== "string" || path === "") throw new PaywallError("invalid-argument", "The store's path must be a text: sqlite(\"paywall.db\").");
  const database = new Sqlite(path);
  const thread = program();
  // What stands only in this process' memory stays in this thread; so does the rest where there is no program for another one.
  if (path === ":memory:" || thread === undefined) return new Ledger(database, options);
  void database.close();
  return new Ledger(new Thread(database.path, thread), options);
}
