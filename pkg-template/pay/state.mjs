// What a payer remembers of a site, and all that changes it. One record, read and written as a whole in one transaction, so
// that of two tabs each sees what the other did. The rules:
// - a unit is in `free` of its grant, or in one spend, or was charged;
// - a spend is there before its word leaves, and goes only when its outcome is known.
// @ts-check

/** @import { Grant, GrantRequest, Hex, PayError, Terms } from "./index.js" */
/** @import { Marks } from "./chain.mjs" */

import { json } from "./wire.mjs";

/** @typedef {[from: number, to: number]} Interval */
/**
 * @typedef {object} Held a grant, or what one was asked with.
 * @property {number} at when it was asked for, milliseconds
 * @property {GrantRequest} request
 * @property {Marks} marks
 * @property {string} market of the terms that it was asked for: no others are paid by it
 * @property {Grant} [grant] once it is granted
 * @property {Interval[]} free units that can be spent, lowest first
 * @property {number} shown the highest place whose word may have left
 * @property {string} [route] what was paid by it last
 * @property {true} [low] it was told that little is left
 * @property {Uint8Array} [seal] known to nobody: whoever shows it made the payments whose ids end with its hash
 */
/**
 * @typedef {object} Spend a payment whose outcome is not known yet.
 * @property {Hex} id
 * @property {Hex} key
 * @property {number} from
 * @property {number} to
 * @property {string} mark what it is for: the same request has the same one
 * @property {string} owner who waits for its answer; nobody if empty
 * @property {number} at
 */
/** Throws where a call would show more than it may: `fresh` is what was never shown before, `amount` the price. @typedef {(fresh: bigint, amount: bigint) => void} Allow */
/** @typedef {{ v: 1, rev: number, held: Held[], spends: Spend[], routes: [route: string, terms: Terms | null][] }} State */

/** Before a grant's expiry, milliseconds: nothing is spent any more. */
const MARGIN = 60_000;
/** And so long before that, its successor is asked for. */
const EARLY = 3_600_000;
const MOST_ROUTES = 200;
/** An answer to a request for a grant may come so much later. */
const DAY = 86_400_000;

/** @returns {State} */
export const empty = () => ({ v: 1, rev: 0, held: [], spends: [], routes: [] });

/** Puts an interval back, and makes one of those that touch. @param {Interval[]} free @param {number} from @param {number} to */
export function give(free, from, to) {
  if (from >= to) return;
  const rest = free.filter(([a, b]) => b < from || a > to || ([from, to] = [Math.min(a, from), Math.max(b, to)]) === undefined);
  free.splice(0, free.length, ...rest, [from, to]);
  free.sort(([a], [b]) => a - b);
}

/** Takes out what there is of an interval. @param {Interval[]} free @param {number} from @param {number} to */
export function strike(free, from, to) {
  const rest = free.flatMap(([a, b]) => /** @type {Interval[]} */ ([[a, Math.min(b, from)], [Math.max(a, to), b]]));
  free.splice(0, free.length, ...rest.filter(([a, b]) => a < b));
}

/** @param {Interval[]} free */
export const sum = (free) => free.reduce((all, [from, to]) => all + to - from, 0);

/** Whose terms something is for, whom it pays, by way of whom and in what, to be compared. @param {{ hub: string, network: string, contract: string, asset: string, unitPrice: bigint, payee?: string, payTo?: string, site?: string }} one */
export const market = ({ hub, network, contract, asset, unitPrice, payee, payTo = payee, site }) => [hub, network, contract, asset, unitPrice, payTo, site].join();

/** A grant that can pay. @param {{ held: Held[] }} state @param {Terms} terms @param {number} now */
export const usable = ({ held }, terms, now) =>
  held.find(({ grant, free, market: what }) => grant && what === market(terms) && grant.expiry * 1000 - MARGIN > now && free.some(([from, to]) => to - from >= terms.units));

/** Units that are left for long enough to pay like this. @param {State} state @param {string} what their market @param {number} now */
export const left = (state, what, now) =>
  sum(state.held.flatMap(({ grant, free, market }) => (grant && market === what && grant.expiry * 1000 - EARLY > now ? free : [])));

/** What was asked for and not answered: the same is asked for again, so that a wallet grants it once. @param {State} state @param {Terms} terms */
export const begun = (state, terms) => state.held.find(({ grant, request, market: what }) => !grant && what === market(terms) && request.units >= terms.units);

/** @param {State} state @param {Hex | undefined} key */
export const heldBy = (state, key) => state.held.find(({ grant }) => grant?.key === key);

/** What is over for good goes. @param {State} state @param {number} now */
export function tidy(state, now) {
  const lives = (/** @type {Held} */ { grant, at }) => (grant ? grant.expiry * 1000 > now : at + DAY > now);
  const held = state.held.filter(lives);
  if (held.length === state.held.length) return;
  state.held = held;
  state.spends = state.spends.filter(({ key }) => heldBy(state, key));
  state.rev += 1;
}

/**
 * Takes units for a request out of a grant that has them. @param {Held} held
 * @param {{ id: Hex, units: number, mark: string, owner: string, at: number, allow: Allow }} wanted @returns {Spend}
 */
export function spend(held, { units, allow, ...wanted }) {
  const [from] = /** @type {Interval} */ (held.free.find(([from, to]) => to - from >= units));
  const to = from + units;
  const { key, unitPrice } = /** @type {Grant} */ (held.grant);
  const shown = Math.max(held.shown, to);
  allow(unitPrice * BigInt(shown - held.shown), unitPrice * BigInt(units));
  strike(held.free, from, to);
  held.shown = shown;
  return { key, from, to, ...wanted };
}

/** The outcome is known: so many units were charged. @param {State} state @param {Hex} id @param {number} charged */
export function settle(state, id, charged) {
  const index = state.spends.findIndex((spend) => spend.id === id);
  if (index < 0) return;
  const [{ key, from, to }] = state.spends.splice(index, 1);
  const held = heldBy(state, key);
  if (held) give(held.free, from + charged, to);
  state.rev += 1;
}

/** Nobody waits for the answer any more: the same request may take it up. @param {State} state @param {Hex} id */
export function loosen(state, id) {
  for (const spend of state.spends) if (spend.id === id) spend.owner = "";
  state.rev += 1;
}

/** A grant is of no use any more. @param {State} state @param {Hex} key */
export function forget(state, key) {
  state.held = state.held.filter(({ grant }) => grant?.key !== key);
  state.spends = state.spends.filter((spend) => spend.key !== key);
  state.rev += 1;
}

/** The server sold these to a request that we do not know of. @param {State} state @param {Held | undefined} held @param {readonly Interval[]} sold */
export function sold(state, held, sold) {
  for (const [from, to] of sold) if (held) strike(held.free, from, to);
  state.rev += 1;
}

// A route is `METHOD origin/path`; what holds for one article is tried for the next one in its folder.
const folder = (/** @type {string} */ route) => route.slice(0, route.lastIndexOf("/") + 1);
/** What is known of a route; `null` if it is free. @param {State} state @param {string} [route] */
export function termsOf(state, route = "") {
  const known = new Map(state.routes);
  return known.has(route) ? known.get(route) : known.get(folder(route));
}

/** @param {State} state @param {string} route @param {Terms | null} terms */
export function learn(state, route, terms) {
  const known = new Map(state.routes);
  const whole = folder(route);
  known.delete(route);
  if (terms && !known.has(whole)) known.set(whole, terms);
  if (json(known.get(whole) ?? null) !== json(terms)) known.set(route, terms);
  state.routes = [...known].slice(-MOST_ROUTES);
  state.rev += 1;
}
