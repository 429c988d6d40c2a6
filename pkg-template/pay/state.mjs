// What a payer remembers of a site, and all that changes it. One record, read and written as a whole in one transaction, so
// that of two tabs each sees what the other did. The rules:
// - a unit is in `free` of its grant, or in one spend, or was charged;
// - a spend is there before its word leaves, and goes only when its outcome is known.
// @ts-check

/** @import { Grant, GrantRequest, Hex, PayError, Terms } from "./index.js" */
/** @import { Marks } from "./chain.mjs" */

/** @typedef {[from: number, to: number]} Interval */
/**
 * @typedef {object} Held a grant, or what one was asked with.
 * @property {number} at when it was asked for, milliseconds
 * @property {GrantRequest} request
 * @property {Marks} marks
 * @property {string | undefined} [was] by redirect: the fragment that was there
 * @property {Grant} [grant] once it is granted
 * @property {Interval[]} free units that can be spent, lowest first
 * @property {number} shown the highest place whose word may have left
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
/** @typedef {{ v: 1, rev: number, held: Held[], spends: Spend[], routes: [route: string, terms: Terms | null][] }} State */

/** Before a grant's expiry, milliseconds: nothing is spent any more. */
const MARGIN = 60_000;
const MOST_ROUTES = 200;
/** An answer to a request for a grant may come so much later. */
const DAY = 86_400_000;

/** @returns {State} */
export const empty = () => ({ v: 1, rev: 0, held: [], spends: [], routes: [] });

/** Puts an interval back. @param {Interval[]} free @param {number} from @param {number} to */
export function give(free, from, to) {
  if (from >= to) return;
  strike(free, from, to);
  free.push([from, to]);
  free.sort(([a], [b]) => a - b);
  for (let index = free.length - 1; index > 0; index -= 1) {
    if (free[index - 1][1] === free[index][0]) free.splice(index - 1, 2, [free[index - 1][0], free[index][1]]);
  }
}

/** Takes out what there is of an interval. @param {Interval[]} free @param {number} from @param {number} to */
export function strike(free, from, to) {
  /** @type {Interval[]} */
  const rest = [];
  for (const [a, b] of free) {
    if (a < Math.min(b, from)) rest.push([a, Math.min(b, from)]);
    if (Math.max(a, to) < b) rest.push([Math.max(a, to), b]);
  }
  free.splice(0, free.length, ...rest);
}

/** @param {Interval[]} free */
export const sum = (free) => free.reduce((all, [from, to]) => all + to - from, 0);

/** @param {Held} held @param {Terms} terms @param {number} now */
const fits = ({ grant, free }, terms, now) =>
  grant !== undefined &&
  grant.payee === terms.payTo &&
  grant.network === terms.network &&
  grant.asset === terms.asset &&
  grant.contract === terms.contract &&
  grant.unitPrice === terms.unitPrice &&
  grant.expiry * 1000 - MARGIN > now &&
  free.some(([from, to]) => to - from >= terms.units);

/** A grant that can pay. @param {State} state @param {Terms} terms @param {number} now @param {(held: Held) => boolean} [open] */
export const usable = (state, terms, now, open = () => true) => state.held.find((held) => fits(held, terms, now) && open(held));

/** @param {State} state @param {Hex | undefined} key */
export const heldBy = (state, key) => state.held.find(({ grant }) => grant?.key === key);

/** What is over for good goes. @param {State} state @param {number} now */
export function tidy(state, now) {
  const lives = (/** @type {Held} */ { grant, at }) => (grant ? grant.expiry * 1000 > now : at + DAY > now);
  if (state.held.every(lives)) return;
  state.held = state.held.filter(lives);
  state.spends = state.spends.filter(({ key }) => heldBy(state, key));
  state.rev += 1;
}

/** A spend that the same request left behind: nobody waits for it, or only who is gone. @param {State} state @param {string} mark @param {(owner: string) => boolean} gone */
export const left = (state, mark, gone) => state.spends.find((spend) => spend.mark === mark && (spend.owner === "" || gone(spend.owner)));

/**
 * Takes units for a request out of a grant that has them. @param {Held} held
 * @param {{ id: Hex, units: number, mark: string, owner: string, at: number }} wanted @returns {Spend | undefined}
 */
export function spend(held, { units, ...wanted }) {
  const [from] = held.free.find(([from, to]) => to - from >= units) ?? [];
  if (from === undefined || !held.grant) return undefined;
  const to = from + units;
  strike(held.free, from, to);
  held.shown = Math.max(held.shown, to);
  return { key: held.grant.key, from, to, ...wanted };
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
const same = (/** @type {Terms | null | undefined} */ a, /** @type {Terms | null | undefined} */ b) => String(Object.entries(a ?? {})) === String(Object.entries(b ?? {}));

/** What is known of a route; `null` if it is free. @param {State} state @param {string} [route] */
export function termsOf(state, route = "") {
  const known = new Map(state.routes);
  return known.has(route) ? known.get(route) : known.get(folder(route));
}

/** @param {State} state @param {string} route @param {Terms | null} terms */
export function learn(state, route, terms) {
  const known = new Map(state.routes);
  if (known.has(route) ? same(known.get(route), terms) : same(known.get(folder(route)), terms)) return;
  known.delete(route);
  const whole = folder(route);
  if (!known.has(whole) && terms) known.set(whole, terms);
  else if (!same(known.get(whole), terms)) known.set(route, terms);
  state.routes = [...known].slice(-MOST_ROUTES);
  state.rev += 1;
}
