// What a store keeps, as SQL that both databases read, and its rows as JavaScript.
// @ts-check

/** @import { Record, Stream } from "../internal.js" */

export const VERSION = 1;

/** @param {{ bytes: string, long: string }} types */
export const schema = ({ bytes, long }) => `
CREATE TABLE IF NOT EXISTS farthing_streams (
  key TEXT PRIMARY KEY, condition TEXT NOT NULL, params TEXT NOT NULL, token TEXT NOT NULL, symbol TEXT NOT NULL, unit_price TEXT NOT NULL,
  units INTEGER NOT NULL, expires_at ${long} NOT NULL, ended_at ${long}, best INTEGER NOT NULL, word TEXT, earned INTEGER NOT NULL, shown INTEGER NOT NULL, used_at ${long} NOT NULL);
CREATE TABLE IF NOT EXISTS farthing_intervals (
  key TEXT NOT NULL, id TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, upto INTEGER NOT NULL, bind TEXT NOT NULL, session TEXT,
  route TEXT NOT NULL, method TEXT NOT NULL, url TEXT NOT NULL, state TEXT NOT NULL, charged INTEGER NOT NULL, attempt INTEGER NOT NULL,
  holder TEXT NOT NULL, at ${long} NOT NULL, settled_at ${long}, PRIMARY KEY (key, id));
CREATE INDEX IF NOT EXISTS farthing_intervals_sold ON farthing_intervals (key, first);
CREATE INDEX IF NOT EXISTS farthing_intervals_session ON farthing_intervals (session) WHERE session IS NOT NULL;
CREATE INDEX IF NOT EXISTS farthing_intervals_id ON farthing_intervals (id);
CREATE INDEX IF NOT EXISTS farthing_intervals_at ON farthing_intervals (at);
CREATE INDEX IF NOT EXISTS farthing_streams_due ON farthing_streams (key) WHERE earned > shown;
CREATE INDEX IF NOT EXISTS farthing_streams_ended ON farthing_streams (ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS farthing_answers (
  key TEXT NOT NULL, id TEXT NOT NULL, status INTEGER NOT NULL, headers TEXT NOT NULL, body ${bytes} NOT NULL, at ${long} NOT NULL, PRIMARY KEY (key, id));
CREATE INDEX IF NOT EXISTS farthing_answers_at ON farthing_answers (at);
CREATE TABLE IF NOT EXISTS farthing_holders (holder TEXT PRIMARY KEY, until ${long} NOT NULL);
CREATE TABLE IF NOT EXISTS farthing_facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
`;

export const RECORD = ["key", "id", "first", "last", "upto", "bind", "session", "route", "method", "url", "state", "charged", "attempt", "holder", "at", "settled_at"];

/** @param {any} row @returns {Stream} */
export const streamOf = (row) => ({
  key: row.key,
  condition: row.condition,
  params: row.params,
  token: row.token,
  symbol: row.symbol,
  unitPrice: row.unit_price,
  units: Number(row.units),
  expiresAt: Number(row.expires_at),
  endedAt: row.ended_at === null ? null : Number(row.ended_at),
  best: Number(row.best),
  word: row.word,
  earned: Number(row.earned),
  shown: Number(row.shown),
  usedAt: Number(row.used_at),
});

/** @param {any} row @returns {Record} */
export const recordOf = (row) => ({
  key: row.key,
  id: row.id,
  from: Number(row.first),
  to: Number(row.last),
  upto: Number(row.upto),
  bind: row.bind,
  session: row.session,
  route: row.route,
  method: row.method,
  url: row.url,
  state: row.state,
  charged: Number(row.charged),
  attempt: Number(row.attempt),
  holder: row.holder,
  at: Number(row.at),
  settledAt: row.settled_at === null ? null : Number(row.settled_at),
});

/** In the order of `RECORD`. @param {Record} record */
export const valuesOf = (record) => [
  record.key, record.id, record.from, record.to, record.upto, record.bind, record.session, record.route, record.method, record.url,
  record.state, record.charged, record.attempt, record.holder, record.at, record.settledAt,
];
