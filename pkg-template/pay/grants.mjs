// What a payer can spend: grants, and the words of them. A word leaves only after the spend that it belongs to is durable.
// @ts-check

/** @import { Grant, Hex, Terms } from "./index.js" */
/** @import { Ledger } from "./ledger.mjs" */
/** @import { Allow, Held, Interval, Spend, State, settle, usable } from "./state.mjs" */

import { wordAt } from "./chain.mjs";
import { forget, heldBy, learn, loosen, market, sold, termsOf, tidy } from "./state.mjs";
import { fault, hexOf, random } from "./wire.mjs";

/**
 * @typedef {object} Wanted
 * @property {string} [route]
 * @property {Terms} [terms] if they are known to hold now
 * @property {Hex | undefined} [id]
 * @property {string} mark
 * @property {string} site
 * @property {AbortSignal | null | undefined} signal
 * @property {(terms: Terms) => boolean} affordable
 * @property {Allow} allow the same in all that one call takes
 */
/** @typedef {Spend & Terms & { word: Hex, terms: Terms, granted: number }} Paid */
const SOON = 100;

/** Whose spends these are, and whether another owner of some is gone. @typedef {{ name: string, living(): Promise<(name: string) => boolean> }} Owner */
/**
 * Where grants come from, and how one is spent. @typedef {object} Source
 * @property {Owner} owner
 * @property {(terms: Terms) => Promise<void>} obtain
 * @property {typeof usable} usable
 * @property {(held: Held, wanted: { id: Hex, units: number, mark: string, owner: string, at: number, site: string, allow: Allow }, state: State, terms: Terms) => Spend} spend may throw, and nothing is spent
 * @property {typeof settle} settle
 * @property {(held: Held) => Hex} newId of a payment, within the transaction that spends
 * @property {(state: State, now: number) => void} [before] notes what has to be known before units are taken
 * @property {(state: State, key: Hex, spans?: readonly Interval[]) => void} [lost] what is free of these, or of all that was shown, goes, and its words may be out
 */

/** Waits for it no longer than the signal allows. @template Value @param {Promise<Value>} promise @param {AbortSignal | null | undefined} signal @returns {Promise<Value>} */
export const unless = (promise, signal) =>
  signal
    ? new Promise((done, fail) => {
        const stop = () => fail(signal.reason);
        if (signal.aborted) stop();
        signal.addEventListener("abort", stop);
        promise.then(done, fail).finally(() => signal.removeEventListener("abort", stop));
      })
    : promise;

/** Waits a little longer each time. @param {number} times @param {AbortSignal | null} [signal] */
export const backOff = (times, signal) => unless(new Promise((done) => setTimeout(done, Math.min(50 * 2 ** times, 1_600))), signal);

/** This tab or worker, which lives as long as it holds a lock. @param {string} prefix @returns {Owner} */
export function tab(prefix) {
  const name = `${prefix}/${hexOf(random(8))}`;
  const held = new Promise((held) => void navigator.locks.request(name, () => new Promise(() => held(0))));
  // Where there are no locks it is told to who needs one.
  held.catch(() => {});
  return {
    name,
    async living() {
      await held;
      const { held: locks } = await navigator.locks.query();
      return (other) => !!locks?.some(({ name }) => name === other);
    },
  };
}

/** @typedef {ReturnType<typeof purseOf>} Purse */

/**
 * Each part of the source by itself: what a page does not give is not in its bundle.
 * @param {Ledger} ledger @param {Source["owner"]} owner @param {Source["obtain"]} obtain @param {Source["usable"]} usable
 * @param {Source["spend"]} spend @param {Source["settle"]} settle @param {Source["newId"]} newId @param {Source["before"]} [before] @param {Source["lost"]} [lost]
 */
export function purseOf(ledger, owner, obtain, usable, spend, settle, newId, before, lost) {
  /** Asked for at this moment, by payee and price. @type {Map<string, Promise<void>>} */
  const asking = new Map();

  /** A change whose loss in a crash costs nothing. @param {(state: State) => void} work @param {number} [later] */
  const soon = (work, later = SOON) => ledger(work, later).catch(() => {});

  /** @param {State} state @param {Hex} key */
  const leave = (state, key) => {
    lost?.(state, key);
    forget(state, key);
  };

  return {
    /** Units for a request, and the word; those that the same request left behind before any others. @param {Wanted} wanted @returns {Promise<Paid | undefined>} */
    async take({ route, terms, id, mark, site, affordable, allow }) {
      const { name, living } = owner;
      const lives = await living();
      return ledger((state) => {
        const at = Date.now();
        before?.(state, at);
        tidy(state, at);
        const asked = terms ?? termsOf(state, route);
        let taken = state.spends.find((one) => (id ? one.id === id : one.mark === mark && one.owner !== name && !lives(one.owner)));
        if (taken && taken.mark !== mark) throw fault("invalid-argument", "The id is another request's. Nothing was paid.");
        let held = taken && heldBy(state, taken.key);
        if (taken) taken.owner = name;
        else {
          if (!asked || !affordable(asked)) return undefined;
          held = usable(state, asked, at);
          if (!held) return undefined;
          taken = spend(held, { id: id ?? newId(held), units: asked.units, mark, owner: name, at, site, allow }, state, asked);
          state.spends.push(taken);
        }
        state.rev += 1;
        // A spend goes when its grant does.
        const { grant, marks, at: granted } = Object.assign(/** @type {Held & { grant: Grant }} */ (held), { route });
        const units = taken.to - taken.from;
        // Of a request that was left behind the terms of then count.
        const own = { maxTimeoutSeconds: 60, minUnits: units, ...asked, ...grant, payTo: grant.payee, units, amount: grant.unitPrice * BigInt(units) };
        return { ...own, ...taken, word: wordAt(marks, taken.to), terms: own, granted };
      });
    },

    /** Of several the one that there is a grant for, or that is like what was tried. @param {Terms[]} all @param {Terms} [last] @returns {Promise<Terms>} */
    pick: (all, last) => ledger((state) => all.find((one) => (last ? market(one) === market(last) : usable(state, one, Date.now()))) ?? all[0] ?? last),

    /** @param {string} route @param {Terms | null} terms */
    learn: (route, terms) => ledger((state) => learn(state, route, terms)),

    /** Where nothing was charged it can be waited for: the units are free. @param {{ id: Hex }} paid @param {number} [charged] */
    settle: ({ id }, charged = 0) => soon((state) => settle(state, id, charged), charged && SOON),

    /** @param {{ id: Hex }} paid */
    loosen: ({ id }) => soon((state) => loosen(state, id)),

    /** @param {Hex} key */
    forget: (key) => ledger((state) => leave(state, key)),

    /**
     * Goes on behind what the server says it sold. What is skipped is shown to it, and so is paid for: no more than was shown
     * before, and as much again as this request wanted. A server that says more has another chain, or wants the grant for nothing.
     * @param {Paid} paid @param {readonly Interval[]} spent
     */
    behind: ({ key, from, to }, spent) =>
      ledger((state) => {
        const held = heldBy(state, key);
        if (spent.some(([, end]) => end > (held?.shown ?? 0) + to - from)) return leave(state, key);
        lost?.(state, key, spent);
        sold(state, held, spent);
      }),

    /** Resolves when there is a grant to pay from; several who wait for the same ask once. @param {Terms} terms @param {{ signal?: Wanted["signal"] }} wanted */
    obtain(terms, { signal }) {
      const what = market(terms);
      const one = asking.get(what) ?? obtain(terms).finally(() => asking.delete(what));
      asking.set(what, one);
      return unless(one, signal);
    },
  };
}
