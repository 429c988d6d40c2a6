// Judges what gathered for one transaction: the same for every store. A store reads what `needs` names under locks on the
// streams, hands it to `judge`, and writes what that gives, all in one transaction.
// @ts-check

/** @import { Op, Outcome, Record, View, Writes } from "../internal.js" */

import { close, decide, settle } from "../spend.mjs";

/** @param {string} key @param {string} id */
export const nameOf = (key, id) => `${key}/${id}`;

/** The streams to lock, each once and in one order, so that no two transactions wait for each other. @param {Op[]} ops */
export function keysOf(ops) {
  const keys = ops.flatMap((op) => (op.type === "spend" && op.opening ? [op.claim.key, op.opening.key] : [op.type === "spend" ? op.claim.key : op.key]));
  return [...new Set(keys)].sort();
}

/** The records to read, beside those of sessions. @param {Op[]} ops @returns {[key: string, id: string][]} */
export function namesOf(ops) {
  const names = new Map();
  for (const op of ops) {
    if (op.type === "spend") {
      names.set(nameOf(op.claim.key, op.claim.id), [op.claim.key, op.claim.id]);
      if (op.opening) names.set(nameOf(op.opening.key, op.opening.id), [op.opening.key, op.opening.id]);
    } else names.set(nameOf(op.key, op.id), [op.key, op.id]);
  }
  return [...names.values()];
}

/** @param {Op[]} ops */
export const sessionsOf = (ops) => ops.flatMap((op) => (op.type === "close" ? [op.id] : []));

/**
 * @param {Op[]} ops @param {View} view
 * @returns {{ outcomes: Outcome[], writes: Writes }}
 */
export function judge(ops, { streams, records, overlaps, sessions, until, now, holder, active }) {
  /** @type {Writes} */
  const writes = { records: new Map(), words: new Map(), earned: new Map(), answers: [] };
  /** @type {Record[]} */
  const sold = [];
  /** @param {string} key @param {string} id */
  const recordOf = (key, id) => writes.records.get(nameOf(key, id)) ?? records.get(nameOf(key, id));
  /** @param {Record} record */
  const put = (record) => writes.records.set(nameOf(record.key, record.id), record);
  /** @param {Record} record */
  const settled = (record) => {
    put(record);
    if (record.state === "served") writes.earned.set(record.key, Math.max(record.upto, writes.earned.get(record.key) ?? 0));
  };
  /** @param {Record} record */
  const alive = (record) =>
    record.holder === holder ? active.has(nameOf(record.key, record.id)) || sold.includes(record) : (until.get(record.holder) ?? 0) > now;

  const outcomes = ops.map((op, index) => {
    switch (op.type) {
      case "spend": {
        const { claim, word, margin, again } = op;
        const stream = streams.get(claim.key);
        const record = recordOf(claim.key, claim.id);
        const opening = op.opening && recordOf(op.opening.key, op.opening.id);
        // What was unspent before this transaction is unspent; what is sold within it is not.
        const overlap = overlaps.has(index) || sold.some((other) => other.key === claim.key && other.id !== claim.id && other.from < claim.to && other.to > claim.from);
        const verdict = decide(claim, { stream, record, opening, overlap, alive, holder, now, margin, again });
        if (verdict.step === "refused") return verdict;
        if (verdict.record !== record) put(verdict.record);
        sold.push(verdict.record);
        const best = writes.words.get(claim.key)?.best ?? stream?.best ?? 0;
        if (claim.to > best) writes.words.set(claim.key, { best: claim.to, word });
        return verdict;
      }
      case "settle": {
        const record = settle(recordOf(op.key, op.id), { holder, attempt: op.attempt, charged: op.charged, now });
        if (record === undefined) return { step: /** @type {const} */ ("late") };
        settled(record);
        if (op.answer !== undefined && record.state === "served") writes.answers.push({ key: op.key, id: op.id, ...op.answer, at: now });
        return { step: /** @type {const} */ ("settled"), records: [record] };
      }
      case "close": {
        const opening = recordOf(op.key, op.id);
        if (opening === undefined || opening.state !== "serving" || opening.holder !== holder || opening.attempt !== op.attempt) return { step: /** @type {const} */ ("late") };
        const joined = new Map((sessions.get(op.id) ?? []).map((record) => [nameOf(record.key, record.id), record]));
        for (const record of writes.records.values()) if (record.session === op.id) joined.set(nameOf(record.key, record.id), record);
        const all = [opening, ...[...joined.values()].sort((a, b) => a.at - b.at || a.from - b.from)];
        const closed = close(all, (key) => BigInt(streams.get(key)?.unitPrice ?? 1n), op.used, now);
        closed.forEach(settled);
        return { step: /** @type {const} */ ("settled"), records: closed };
      }
    }
  });
  return { outcomes, writes };
}
