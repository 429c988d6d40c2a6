// Judges a payment. A pure machine: no clock, no store, no randomness; what it needs is given to it, and it says what to
// store and what to do. Duty of the caller: `decide` under a lock on the stream, and nothing is served before what it says
// to write is durable. Otherwise units are sold twice.
// @ts-check

/** @import { Again, Claim, Payment, Record, Site, Stream, Verdict } from "./internal.js" */
/** @import { ProblemCode } from "./index.js" */

/** The margin is the time that the till has to show the last word. @param {Stream} stream @param {number} now @param {number} margin */
const usable = (stream, now, margin) => stream.endedAt === null && now < stream.expiresAt - margin;

/**
 * What can be said before the stream is locked, in the order of `docs/content.md`: stream, terms, resource, word.
 * Addresses are in lower case.
 * @param {Payment} payment
 * @param {{ site: Site, token: string, bind: string, stream: Stream | undefined, proves: (stream: Stream, to: number, word: string) => boolean | undefined }} known `proves` gives nothing where it was not tried
 * @returns {ProblemCode | undefined}
 */
export function examine(payment, { site, token, bind, stream, proves }) {
  if (stream === undefined) return "unknown-stream";
  if (payment.network !== site.network || payment.payTo !== site.payTo || payment.asset !== token || stream.token !== token) return "wrong-terms";
  if (payment.bind !== bind) return "wrong-resource";
  if (payment.to > stream.units) return "bad-word";
  const proved = proves(stream, payment.to, payment.word);
  // Whether it is false nobody has looked: its payer keeps it, and asks again.
  return proved ? undefined : proved === undefined ? "paywall-unavailable" : "bad-word";
}

/**
 * Whether who wants a stream's rest back is its payer: its seal was hashed into the id of this message and of a payment that was
 * sold by the stream. Whoever saw the payments has only the hash.
 * @param {Payment} end
 * @param {{ site: Site, bind: string, stream: Stream | undefined, tail: string, made: boolean }} known
 * @returns {ProblemCode | undefined}
 */
export function examineEnd(end, { site, bind, stream, tail, made }) {
  if (stream === undefined) return "unknown-stream";
  if (end.network !== site.network || end.payTo !== site.payTo || end.asset !== stream.token) return "wrong-terms";
  if (end.bind !== bind) return "wrong-resource";
  return made && end.id.endsWith(tail) ? undefined : "bad-word";
}

/**
 * What is sold: the same id again goes on, then the stream's end, the price, and whether the units are free.
 * @param {Claim} claim
 * @param {{ stream: Stream | undefined, record: Record | undefined, opening: Record | undefined, overlap: boolean,
 *   alive: (record: Record) => boolean, holder: string, now: number, margin: number, again: Again }} known
 * @returns {Verdict}
 */
export function decide(claim, { stream, record, opening, overlap, alive, holder, now, margin, again }) {
  if (stream === undefined) return { step: "refused", code: "unknown-stream" };
  if (record !== undefined) {
    if (record.from !== claim.from || record.to !== claim.to || record.bind !== claim.bind || record.session !== claim.session) {
      return { step: "refused", code: "id-reused" };
    }
    if (record.session !== null) return { step: "joined", record };
    if (record.state === "serving" && alive(record)) return { step: "refused", code: "in-progress" };
    // So that one header, shown to the world, does not open the door for everybody and for ever.
    if (record.state !== "failed" && (record.attempt > again.times || now > record.at + again.milliseconds)) return { step: "refused", code: "interval-spent" };
    if (record.state === "served") return { step: "again", record: { ...record, attempt: record.attempt + 1 } };
    if (record.state === "serving") return { step: "serve", record: { ...record, attempt: record.attempt + 1, holder } };
  }
  if (claim.session !== null && (opening === undefined || opening.session !== null || opening.state !== "serving" || !alive(opening))) {
    return { step: "refused", code: "session-ended" };
  }
  if (!usable(stream, now, margin)) return { step: "refused", code: "stream-ended" };
  if (BigInt(claim.to - claim.from) * BigInt(stream.unitPrice) < claim.amount) return { step: "refused", code: "price-changed" };
  if (overlap) return { step: "refused", code: "interval-spent" };
  const { key, id, from, to, bind, session, route, method, url } = claim;
  const attempt = record === undefined ? 1 : record.attempt + 1;
  const sold = { key, id, from, to, upto: to, bind, session, route, method, url, state: /** @type {const} */ ("serving"), charged: to - from, attempt, at: now, settledAt: null };
  if (session === null) return { step: "serve", record: { ...sold, holder } };
  return { step: "joined", record: { ...sold, holder: /** @type {Record} */ (opening).holder } };
}

/**
 * What was served is charged, the rest is unspent. Only who holds the record may say so, and only for the attempt that it
 * made; nothing that was settled is settled again.
 * @param {Record | undefined} record @param {{ holder: string, attempt: number, charged: number, now: number }} told
 * @returns {Record | undefined}
 */
export function settle(record, { holder, attempt, charged, now }) {
  if (record === undefined || record.state !== "serving" || record.holder !== holder || record.attempt !== attempt) return undefined;
  return ended(record, charged, now);
}

/**
 * Ends a session: what was used, in base units, is charged to its intervals in the order in which they came.
 * @param {Record[]} records @param {(key: string) => bigint} priceOf @param {bigint} used @param {number} now
 */
export function close(records, priceOf, used, now) {
  let left = used;
  return records.map((record) => {
    const price = priceOf(record.key);
    const charged = Number(smaller(unitsFor(left, price), BigInt(record.to - record.from)));
    left -= smaller(left, BigInt(charged) * price);
    return ended(record, charged, now);
  });
}

/** Whole units that cover an amount. @param {bigint} amount @param {bigint} unitPrice */
export const unitsFor = (amount, unitPrice) => (amount + unitPrice - 1n) / unitPrice;

/** @param {Record} record @param {number} charged @param {number} now @returns {Record} */
function ended(record, charged, now) {
  const units = Math.min(Math.max(charged, 0), record.to - record.from);
  return { ...record, state: units > 0 ? "served" : "failed", charged: units, upto: record.from + units, settledAt: now };
}

/** @param {bigint} one @param {bigint} other */
const smaller = (one, other) => (one < other ? one : other);

/**
 * Spent intervals as ranges that touch no other, at most `most` of them: beyond that the smallest gaps are told as spent.
 * @param {[number, number][]} intervals in any order @param {number} most @returns {[number, number][]}
 */
export function ranges(intervals, most) {
  /** @type {[number, number][]} */
  const merged = [];
  for (const [from, to] of intervals.filter(([from, to]) => to > from).sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  if (merged.length <= most) return merged;
  const gaps = merged.slice(1).map(([from], index) => ({ index: index + 1, size: from - merged[index][1] }));
  const kept = new Set(gaps.sort((a, b) => b.size - a.size).slice(0, most - 1).map(({ index }) => index));
  /** @type {[number, number][]} */
  const told = [];
  merged.forEach(([from, to], index) => {
    const last = told.at(-1);
    if (last === undefined || kept.has(index)) told.push([from, to]);
    else last[1] = to;
  });
  return told;
}
