// The store in PostgreSQL, for processes on many machines. A batch is one transaction: it locks the rows of its streams in one
// order, reads with a snapshot that is younger than the locks, and writes. The application gives the pool of `pg`.
// @ts-check

/** @import { Backend, Op, Outcome, Pool, PoolClient, Stream, View, Writes } from "../internal.js" */

import { PaywallError, invalid } from "../problem.mjs";
import { judge, keysOf, nameOf, namesOf, sessionsOf } from "./batch.mjs";
import { Ledger } from "./ledger.mjs";
import { RECORD, VERSION, recordOf, schema, streamOf, valuesOf } from "./schema.mjs";

/** Lets one process at a time lay the tables. */
const LAYING = 0x666172746869;

/** Milliseconds for which a statement may wait. */
const PATIENCE = 10_000;

/** Nothing was written: a deadlock, a serialisation, a server that shuts down. */
const REPEATED = new Set(["40001", "40P01", "57P01", "57P02", "57P03"]);
const REPEATS = 3;

const NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/** What has our listener. @type {WeakSet<object>} */
const HEARD = new WeakSet();

/** A connection that breaks while nothing is asked would end the process if nobody listened; the next question fails in any case. @param {Pool | PoolClient} emitter */
function heard(emitter) {
  if (HEARD.has(emitter)) return;
  HEARD.add(emitter);
  emitter.on?.("error", () => {});
}

/** A store in the database behind a pool of `pg`. @param {Pool} pool @param {{ lease?: number }} [options] */
export function postgres(pool, options = {}) {
  if (typeof pool?.connect !== "function" || typeof pool.query !== "function") throw invalid("The store needs a pool of `pg`: postgres(new Pool({ connectionString })).");
  return new Ledger(new Postgres(pool), options);
}

/** @implements {Backend} */
class Postgres {
  #pool;
  /** @type {Promise<void> | undefined} */
  #laid;

  /** @param {Pool} pool */
  constructor(pool) {
    this.#pool = pool;
    heard(pool);
  }

  /** The tables are laid with the first question, and asked for again if that failed. */
  #ready() {
    this.#laid ??= this.#lay().catch((error) => {
      this.#laid = undefined;
      throw error;
    });
    return this.#laid;
  }

  async #lay() {
    const version = await this.#transaction(async (client) => {
      await client.query("SELECT pg_advisory_xact_lock($1)", [LAYING]);
      await client.query(schema({ bytes: "BYTEA", long: "BIGINT" }));
      await client.query("INSERT INTO farthing_facts VALUES ('version', $1) ON CONFLICT (name) DO NOTHING", [String(VERSION)]);
      const { rows } = await client.query("SELECT value FROM farthing_facts WHERE name = 'version'");
      return rows[0].value;
    });
    if (version !== String(VERSION)) throw new PaywallError("storage-failed", `The tables were laid by another version of this package (${version}). Nothing was changed.`);
  }

  /** @template Value @param {(client: PoolClient) => Promise<Value>} work @returns {Promise<Value>} */
  async #transaction(work) {
    for (let attempt = 1; ; attempt += 1) {
      const client = await this.#pool.connect();
      heard(client);
      /** @type {Error | undefined} */
      let broken;
      try {
        await client.query(`BEGIN; SET LOCAL lock_timeout = ${PATIENCE}; SET LOCAL synchronous_commit = on`);
        const value = await work(client);
        await client.query("COMMIT");
        return value;
      } catch (/** @type {any} */ error) {
        await client.query("ROLLBACK").catch((/** @type {Error} */ lost) => (broken = lost));
        if (attempt >= REPEATS || !REPEATED.has(error.code)) throw error;
      } finally {
        client.release(broken);
      }
    }
  }

  /** @param {string} sql @param {unknown[]} [values] @returns {Promise<any[]>} */
  async #all(sql, values = []) {
    await this.#ready();
    return (await this.#pool.query(sql, values)).rows;
  }

  /** @param {string} sql @param {unknown[]} values */
  async #run(sql, values) {
    await this.#ready();
    return (await this.#pool.query(sql, values)).rowCount ?? 0;
  }

  /** @param {Op[]} ops @param {string} holder @param {ReadonlySet<string>} active @returns {Promise<Outcome[]>} */
  async run(ops, holder, active) {
    await this.#ready();
    return this.#transaction(async (client) => {
      const locked = await client.query(`SELECT *, ${NOW} AS now FROM farthing_streams WHERE key = ANY($1) ORDER BY key FOR UPDATE`, [keysOf(ops)]);
      const view = await this.#view(client, ops, holder, active, locked.rows);
      const { outcomes, writes } = judge(ops, view);
      await this.#write(client, writes, view.now);
      for (const { key, id, status, headers, body, at } of writes.answers) {
        await client.query("INSERT INTO farthing_answers VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key, id) DO NOTHING", [key, id, status, JSON.stringify(headers), Buffer.from(body), at]);
      }
      return outcomes;
    });
  }

  /** Intervals and streams in one statement: each is a way to the server and back while the locks are held. @param {PoolClient} client @param {Writes} writes @param {number} now */
  async #write(client, { records, words, earned }, now) {
    const keys = [...new Set([...words.keys(), ...earned.keys()])];
    if (records.size === 0 && keys.length === 0) return;
    const rows = [...records.values()].map(valuesOf);
    await client.query(
      `WITH streams AS (UPDATE farthing_streams s SET best = greatest(s.best, n.best), word = CASE WHEN n.best > s.best THEN n.word ELSE s.word END,
         used_at = CASE WHEN n.best > s.best THEN $21::bigint ELSE s.used_at END, earned = greatest(s.earned, n.earned)
         FROM unnest($17::text[], $18::int[], $19::text[], $20::int[]) AS n(key, best, word, earned) WHERE s.key = n.key)
       INSERT INTO farthing_intervals (${RECORD.join(", ")}) SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::int[], $13::int[], $14::text[], $15::bigint[], $16::bigint[])
       ON CONFLICT (key, id) DO UPDATE SET upto = excluded.upto, state = excluded.state, charged = excluded.charged, attempt = excluded.attempt, holder = excluded.holder, at = excluded.at, settled_at = excluded.settled_at`,
      [...RECORD.map((_, index) => rows.map((values) => values[index])), keys, keys.map((key) => words.get(key)?.best ?? 0), keys.map((key) => words.get(key)?.word ?? null), keys.map((key) => earned.get(key) ?? 0), now],
    );
  }

  /** Read after the locks. @param {PoolClient} client @param {Op[]} ops @param {string} holder @param {ReadonlySet<string>} active @param {any[]} locked @returns {Promise<View>} */
  async #view(client, ops, holder, active, locked) {
    /** @type {View["streams"]} */
    const streams = new Map(locked.map((row) => [row.key, streamOf(row)]));
    const names = namesOf(ops);
    const spends = ops.flatMap((op, index) => (op.type === "spend" ? [{ index, ...op.claim }] : []));
    const { rows } = await client.query(
      `SELECT 'record' AS kind, to_jsonb(i) AS value FROM unnest($1::text[], $2::text[]) AS n(key, id) JOIN farthing_intervals i USING (key, id)
       UNION ALL SELECT 'overlap', to_jsonb(n.place) FROM unnest($3::int[], $4::text[], $5::text[], $6::int[], $7::int[]) AS n(place, key, id, first, last),
         LATERAL (SELECT i.upto FROM farthing_intervals i WHERE i.key = n.key AND i.first < n.last AND i.upto > i.first AND i.id <> n.id ORDER BY i.first DESC LIMIT 1) AS before WHERE before.upto > n.first
       UNION ALL SELECT 'holder', to_jsonb(h) FROM farthing_holders h
       UNION ALL SELECT 'session', to_jsonb(i) FROM farthing_intervals i WHERE i.session = ANY($8) AND i.state = 'serving'
       UNION ALL SELECT 'now', to_jsonb(${NOW})`,
      [names.map(([key]) => key), names.map(([, id]) => id), spends.map(({ index }) => index), spends.map(({ key }) => key), spends.map(({ id }) => id), spends.map(({ from }) => from), spends.map(({ to }) => to), sessionsOf(ops)],
    );
    const of = (/** @type {string} */ kind) => rows.filter((row) => row.kind === kind).map(({ value }) => value);
    /** @type {View["sessions"]} */
    const sessions = new Map(sessionsOf(ops).map((id) => [id, []]));
    for (const record of of("session").map(recordOf)) sessions.get(/** @type {string} */ (record.session))?.push(record);
    const others = [...sessions.values()].flat().map(({ key }) => key).filter((key) => !streams.has(key));
    if (others.length > 0) {
      for (const row of (await client.query("SELECT * FROM farthing_streams WHERE key = ANY($1)", [others])).rows) streams.set(row.key, streamOf(row));
    }
    return {
      streams,
      records: new Map(of("record").map(recordOf).map((record) => [nameOf(record.key, record.id), record])),
      overlaps: new Set(of("overlap").map(Number)),
      sessions,
      until: new Map(of("holder").map((row) => [row.holder, Number(row.until)])),
      now: Number(of("now")[0]),
      holder,
      active,
    };
  }

  /** @param {string} holder @param {number} lease */
  async beat(holder, lease) {
    await this.#run(`INSERT INTO farthing_holders VALUES ($1, ${NOW} + $2) ON CONFLICT (holder) DO UPDATE SET until = excluded.until`, [holder, lease]);
    await this.#run(`DELETE FROM farthing_holders WHERE until < ${NOW} - $1`, [60 * lease]);
  }

  /** @param {string} holder */
  async leave(holder) {
    await this.#run("DELETE FROM farthing_holders WHERE holder = $1", [holder]);
  }

  /** @param {Stream} stream */
  async putStream({ key, condition, params, token, symbol, unitPrice, units, expiresAt, shown, usedAt }) {
    const values = [key, condition, params, token, symbol, unitPrice, units, expiresAt, shown, usedAt];
    return (await this.#run("INSERT INTO farthing_streams VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, 0, NULL, 0, $9, $10) ON CONFLICT (key) DO UPDATE SET shown = excluded.shown", values)) > 0;
  }

  /** @param {string} key @param {number} now */
  async endStream(key, now) {
    return (await this.#run("UPDATE farthing_streams SET ended_at = $2 WHERE key = $1 AND ended_at IS NULL", [key, now])) > 0;
  }

  /** @param {string} key @param {number} shown */
  async showed(key, shown) {
    await this.#run("UPDATE farthing_streams SET shown = $2 WHERE key = $1 AND shown < $2", [key, shown]);
  }

  /** @param {string} key */
  async stream(key) {
    const [row] = await this.#all("SELECT * FROM farthing_streams WHERE key = $1", [key]);
    return row && streamOf(row);
  }

  async due() {
    return (await this.#all("SELECT * FROM farthing_streams WHERE earned > shown LIMIT 1000")).map(streamOf);
  }

  /** @param {number} since */
  async ended(since) {
    return (await this.#all("SELECT key FROM farthing_streams WHERE ended_at >= $1 ORDER BY ended_at DESC LIMIT 10000", [since])).map(({ key }) => /** @type {string} */ (key));
  }

  /** @param {string} key */
  async open(key) {
    return (await this.#all("SELECT 1 FROM farthing_intervals WHERE key = $1 AND state = 'serving' LIMIT 1", [key])).length > 0;
  }

  /** @param {string} key @param {string} tail */
  async made(key, tail) {
    return (await this.#all("SELECT 1 FROM farthing_intervals WHERE key = $1 AND id LIKE $2 LIMIT 1", [key, `%${tail}`])).length > 0;
  }

  /** @param {number} usedBefore @param {number} expiresBefore */
  async endable(usedBefore, expiresBefore) {
    return (await this.#all("SELECT * FROM farthing_streams WHERE ended_at IS NULL AND (used_at < $1 OR expires_at < $2) LIMIT 1000", [usedBefore, expiresBefore])).map(streamOf);
  }

  /** @param {string} key */
  async spent(key) {
    return (await this.#all("SELECT first, upto FROM farthing_intervals WHERE key = $1 AND upto > first ORDER BY first", [key])).map(({ first, upto }) => /** @type {[number, number]} */ ([first, upto]));
  }

  /** @param {string} id */
  async session(id) {
    return (await this.#all("SELECT * FROM farthing_intervals WHERE session = $1 OR id = $1 ORDER BY session IS NOT NULL, at, first", [id])).map(recordOf);
  }

  /** @param {string} key @param {string} id */
  async answer(key, id) {
    const [row] = await this.#all("SELECT * FROM farthing_answers WHERE key = $1 AND id = $2", [key, id]);
    return row && { status: row.status, headers: JSON.parse(row.headers), body: new Uint8Array(row.body) };
  }

  /** @param {string} name */
  async fact(name) {
    return (await this.#all("SELECT value FROM farthing_facts WHERE name = $1", [name]))[0]?.value;
  }

  /** @param {string} name @param {string} value */
  async putFact(name, value) {
    await this.#run("INSERT INTO farthing_facts VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", [name, value]);
  }

  /** @param {number} since @param {number} till */
  async sales(since, till) {
    return this.#all(
      `SELECT route, i.key, symbol, token, unit_price, state, count(*) AS requests, sum(charged) AS charged FROM farthing_intervals i JOIN farthing_streams s ON s.key = i.key
       WHERE at >= $1 AND at < $2 GROUP BY route, i.key, symbol, token, unit_price, state`, [since, till]);
  }

  /** @param {{ answersBefore: number, answerBytes: number, recordsBefore: number }} limits */
  async purge({ answersBefore, answerBytes, recordsBefore }) {
    await this.#run("DELETE FROM farthing_answers WHERE at < $1", [answersBefore]);
    await this.#run(
      "DELETE FROM farthing_answers WHERE (key, id) IN (SELECT key, id FROM (SELECT key, id, sum(length(body)) OVER (ORDER BY at DESC, key, id) AS total FROM farthing_answers) AS kept WHERE total > $1)", [answerBytes]);
    await this.#run("DELETE FROM farthing_intervals WHERE key IN (SELECT key FROM farthing_streams WHERE expires_at < $1)", [recordsBefore]);
    await this.#run("DELETE FROM farthing_streams WHERE expires_at < $1", [recordsBefore]);
  }

  /** The pool is the application's. */
  async close() {}
}
