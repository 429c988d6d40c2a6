// A file of node:sqlite as a store. A batch is one transaction that is on the disk when it returns (WAL, synchronous = FULL);
// BEGIN IMMEDIATE lets one process at a time judge.
// @ts-check

/** @import { Backend, Op, Outcome, Record, Stream, View } from "../internal.js" */

import { chmodSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { PaywallError } from "../problem.mjs";
import { judge, keysOf, nameOf, namesOf, sessionsOf } from "./batch.mjs";
import { RECORD, VERSION, recordOf, schema, streamOf, valuesOf } from "./schema.mjs";

/** How long another process's transaction is waited for, in milliseconds. */
const PATIENCE = 5_000;

/** Asked for when a store is opened, so that a Node or a bundler without it can load the rest. */
function engine() {
  const found = /** @type {typeof import("node:sqlite") | undefined} */ (process.getBuiltinModule?.("node:sqlite"));
  if (found === undefined) throw new Error("node:sqlite is missing, use Node 22.13 or newer");
  return found.DatabaseSync;
}

/** @implements {Backend} */
export class Sqlite {
  /** The file. */
  path;
  #database;
  /** @type {Map<string, import("node:sqlite").StatementSync>} */
  #prepared = new Map();

  /** @param {string} path */
  constructor(path) {
    const file = path === ":memory:" ? path : resolve(path);
    this.path = file;
    try {
      if (file !== ":memory:") mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      this.#database = new (engine())(file);
      this.#database.exec(`PRAGMA busy_timeout = ${PATIENCE}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;`);
      if (file !== ":memory:") chmodSync(file, 0o600);
      this.#transaction(() => {
        this.#database.exec(schema({ bytes: "BLOB", long: "INTEGER" }));
        this.#run("INSERT INTO farthing_facts VALUES ('version', ?) ON CONFLICT (name) DO NOTHING", String(VERSION));
      });
    } catch (/** @type {any} */ error) {
      throw new PaywallError("storage-failed", `The paywall's store ${path} can't be opened: ${error.message}`, error);
    }
    const [{ value }] = this.#all("SELECT value FROM farthing_facts WHERE name = 'version'");
    if (value !== String(VERSION)) throw new PaywallError("storage-failed", `${path} was written by another version of this package (${value}). Nothing was changed.`);
  }

  /** @param {string} sql */
  #statement(sql) {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) this.#prepared.set(sql, (statement = this.#database.prepare(sql)));
    return statement;
  }

  /** @param {string} sql @param {...any} values @returns {any[]} */
  #all(sql, ...values) {
    return this.#statement(sql).all(...values);
  }

  /** @param {string} sql @param {...any} values */
  #run(sql, ...values) {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** @template Value @param {() => Value} work */
  #transaction(work) {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const value = work();
      this.#database.exec("COMMIT");
      return value;
    } catch (error) {
      if (this.#database.isTransaction ?? true) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** @param {Op[]} ops @param {string} holder @param {ReadonlySet<string>} active @returns {Promise<Outcome[]>} */
  async run(ops, holder, active) {
    return this.#transaction(() => {
      const view = this.#view(ops, holder, active);
      const { outcomes, writes } = judge(ops, view);
      const put = `INSERT INTO farthing_intervals (${RECORD.join(", ")}) VALUES (${RECORD.map(() => "?").join(", ")}) ON CONFLICT (key, id) DO UPDATE SET
        upto = excluded.upto, state = excluded.state, charged = excluded.charged, attempt = excluded.attempt, holder = excluded.holder, at = excluded.at, settled_at = excluded.settled_at`;
      for (const record of writes.records.values()) this.#run(put, ...valuesOf(record));
      for (const [key, { best, word }] of writes.words) this.#run("UPDATE farthing_streams SET best = ?, word = ?, used_at = ? WHERE key = ? AND best < ?", best, word, view.now, key, best);
      for (const [key, earned] of writes.earned) this.#run("UPDATE farthing_streams SET earned = max(earned, ?) WHERE key = ?", earned, key);
      for (const { key, id, status, headers, body, at } of writes.answers) {
        this.#run("INSERT INTO farthing_answers VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key, id) DO NOTHING", key, id, status, JSON.stringify(headers), body, at);
      }
      return outcomes;
    });
  }

  /** @param {Op[]} ops @param {string} holder @param {ReadonlySet<string>} active @returns {View} */
  #view(ops, holder, active) {
    /** @type {View["records"]} */
    const records = new Map();
    for (const [key, id] of namesOf(ops)) {
      for (const row of this.#all("SELECT * FROM farthing_intervals WHERE key = ? AND id = ?", key, id)) records.set(nameOf(key, id), recordOf(row));
    }
    /** @type {View["sessions"]} */
    const sessions = new Map(sessionsOf(ops).map((id) => [id, this.#all("SELECT * FROM farthing_intervals WHERE session = ? AND state = 'serving'", id).map(recordOf)]));
    const others = [...sessions.values()].flat().map(({ key }) => key);
    /** @type {View["streams"]} */
    const streams = new Map();
    for (const key of new Set([...keysOf(ops), ...others])) {
      for (const row of this.#all("SELECT * FROM farthing_streams WHERE key = ?", key)) streams.set(key, streamOf(row));
    }
    const overlaps = new Set();
    ops.forEach((op, index) => {
      if (op.type !== "spend") return;
      const { key, id, from, to } = op.claim;
      // Sold intervals are disjoint, so the last that begins before `to` is the only one to look at.
      const rows = this.#all("SELECT upto FROM farthing_intervals WHERE key = ? AND first < ? AND upto > first AND id <> ? ORDER BY first DESC LIMIT 1", key, to, id);
      if (rows.length > 0 && rows[0].upto > from) overlaps.add(index);
    });
    const until = new Map(this.#all("SELECT * FROM farthing_holders").map((row) => [row.holder, Number(row.until)]));
    return { streams, records, overlaps, sessions, until, now: Date.now(), holder, active };
  }

  /** @param {string} holder @param {number} lease */
  async beat(holder, lease) {
    this.#transaction(() => {
      const now = Date.now();
      this.#run("INSERT INTO farthing_holders VALUES (?, ?) ON CONFLICT (holder) DO UPDATE SET until = excluded.until", holder, now + lease);
      this.#run("DELETE FROM farthing_holders WHERE until < ?", now - 60 * lease);
    });
  }

  /** @param {string} holder */
  async leave(holder) {
    this.#run("DELETE FROM farthing_holders WHERE holder = ?", holder);
  }

  /** @param {Stream} stream */
  async putStream({ key, condition, params, token, symbol, unitPrice, units, expiresAt, shown, usedAt }) {
    return this.#run(
      "INSERT INTO farthing_streams VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, 0, NULL, 0, ?, ?) ON CONFLICT (key) DO UPDATE SET shown = excluded.shown",
      key, condition, params, token, symbol, unitPrice, units, expiresAt, shown, usedAt,
    ) > 0;
  }

  /** @param {string} key @param {number} now */
  async endStream(key, now) {
    return this.#run("UPDATE farthing_streams SET ended_at = ? WHERE key = ? AND ended_at IS NULL", now, key) > 0;
  }

  /** @param {string} key @param {number} shown */
  async showed(key, shown) {
    this.#run("UPDATE farthing_streams SET shown = ? WHERE key = ? AND shown < ?", shown, key, shown);
  }

  /** @param {string} key */
  async stream(key) {
    const [row] = this.#all("SELECT * FROM farthing_streams WHERE key = ?", key);
    return row && streamOf(row);
  }

  async due() {
    return this.#all("SELECT * FROM farthing_streams WHERE earned > shown LIMIT 1000").map(streamOf);
  }

  /** @param {number} since */
  async ended(since) {
    return this.#all("SELECT key FROM farthing_streams WHERE ended_at >= ? ORDER BY ended_at DESC LIMIT 10000", since).map(({ key }) => /** @type {string} */ (key));
  }

  /** @param {string} key */
  async open(key) {
    return this.#all("SELECT 1 FROM farthing_intervals WHERE key = ? AND state = 'serving' LIMIT 1", key).length > 0;
  }

  /** @param {string} key @param {string} tail */
  async made(key, tail) {
    return this.#all("SELECT 1 FROM farthing_intervals WHERE key = ? AND id LIKE ? LIMIT 1", key, `%${tail}`).length > 0;
  }

  /** @param {number} usedBefore @param {number} expiresBefore */
  async endable(usedBefore, expiresBefore) {
    return this.#all("SELECT * FROM farthing_streams WHERE ended_at IS NULL AND (used_at < ? OR expires_at < ?) LIMIT 1000", usedBefore, expiresBefore).map(streamOf);
  }

  /** @param {string} key */
  async spent(key) {
    return this.#all("SELECT first, upto FROM farthing_intervals WHERE key = ? AND upto > first ORDER BY first", key).map(({ first, upto }) => /** @type {[number, number]} */ ([first, upto]));
  }

  /** @param {string} id */
  async session(id) {
    return this.#all("SELECT * FROM farthing_intervals WHERE session = ?1 OR id = ?1 ORDER BY session IS NOT NULL, at, first", id).map(recordOf);
  }

  /** @param {string} key @param {string} id */
  async answer(key, id) {
    const [row] = this.#all("SELECT * FROM farthing_answers WHERE key = ? AND id = ?", key, id);
    return row && { status: row.status, headers: JSON.parse(row.headers), body: new Uint8Array(row.body) };
  }

  /** @param {string} name */
  async fact(name) {
    return this.#all("SELECT value FROM farthing_facts WHERE name = ?", name)[0]?.value;
  }

  /** @param {string} name @param {string} value */
  async putFact(name, value) {
    this.#run("INSERT INTO farthing_facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value);
  }

  /** @param {number} since @param {number} till */
  async sales(since, till) {
    return this.#all(
      `SELECT route, i.key, symbol, token, unit_price, state, count(*) AS requests, sum(charged) AS charged FROM farthing_intervals i JOIN farthing_streams s ON s.key = i.key
       WHERE at >= ? AND at < ? GROUP BY route, i.key, state`, since, till);
  }

  /** @param {{ answersBefore: number, answerBytes: number, recordsBefore: number }} limits */
  async purge({ answersBefore, answerBytes, recordsBefore }) {
    this.#transaction(() => {
      this.#run("DELETE FROM farthing_answers WHERE at < ?", answersBefore);
      this.#run(
        "DELETE FROM farthing_answers WHERE (key, id) IN (SELECT key, id FROM (SELECT key, id, sum(length(body)) OVER (ORDER BY at DESC, key, id) AS total FROM farthing_answers) WHERE total > ?)", answerBytes);
      this.#run("DELETE FROM farthing_intervals WHERE key IN (SELECT key FROM farthing_streams WHERE expires_at < ?)", recordsBefore);
      this.#run("DELETE FROM farthing_streams WHERE expires_at < ?", recordsBefore);
    });
  }

  async close() {
    this.#database.close();
  }
}
