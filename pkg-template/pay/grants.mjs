// What a payer can spend: grants, and the words of them. A word leaves only after the spend that it belongs to is durable.
// @ts-check

/** @import { Grant, Hex, Terms } from "./index.js" */
/** @import { Held, Interval, Spend, State } from "./state.mjs" */

import { wordAt } from "./chain.mjs";
import { forget, heldBy, learn, left, loosen, settle, sold, spend, termsOf, tidy, usable } from "./state.mjs";
import { PayError, hexOf, random } from "./wire.mjs";

/**
 * @typedef {object} Wanted
 * @property {string} [route]
 * @property {Terms} [terms] if they are known to hold now
 * @property {Hex | undefined} [id]
 * @property {string} mark
 * @property {string} site
 * @property {(terms: Terms) => boolean} [affordable]
 */
/** @typedef {Spend & { word: Hex, network: string, asset: Hex, payTo: Hex, terms: Terms, granted: number, site: string }} Paid */
/** Whose spends these are, and whether another owner of some is gone. @typedef {{ name: string, living(): Promise<(name: string) => boolean> }} Owner */
/**
 * What else a source of grants does in the same transaction.
 * @typedef {object} Source
 * @property {Owner} owner
 * @property {(terms: Terms, site: string) => Promise<void>} obtain
 * @property {(held: Held, to: number) => void} [reach] makes the word of a place known
 * @property {(held: Held) => boolean} [open] whether words can be had of it now
 * @property {(state: State, spend: Spend, held: Held, site: string) => void} [spent] may throw, and nothing is spent
 * @property {(state: State, spend: Spend, held: Held, units: number) => void} [returned] units that were not charged after all
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
  return {
    name,
    async living() {
      await held;
      const names = new Set((await navigator.locks.query()).held?.map((lock) => lock.name));
      return (other) => names.has(other);
    },
  };
}

export class Purse {
  #ledger;
  #source;
  /** Asked for at this moment, by payee and price. @type {Map<string, Promise<void>>} */
  #asking = new Map();

  /** @param {import("./ledger.mjs").Ledger} ledger @param {Source} source */
  constructor(ledger, source) {
    this.#ledger = ledger;
    this.#source = source;
  }

  /** Units for a request, and the word; those that the same request left behind before any others. @param {Wanted} wanted @returns {Promise<Paid | undefined>} */
  async take({ route, terms, id, mark, site, affordable }) {
    const { owner, open, reach, spent } = this.#source;
    const living = await owner.living();
    const found = await this.#ledger.change((state) => {
      const now = Date.now();
      tidy(state, now);
      let asked = terms ?? termsOf(state, route);
      let taken = id ? state.spends.find((one) => one.id === id) : left(state, mark, (name) => name !== owner.name && !living(name));
      if (taken && taken.mark !== mark) throw new PayError("invalid-argument", "payment.id belongs to another request. Nothing was paid.");
      let held = heldBy(state, taken?.key);
      if (taken && held && open?.(held) !== false) {
        taken.owner = owner.name;
        state.rev += 1;
      } else {
        if (taken || !asked || affordable?.(asked) === false) return undefined;
        held = usable(state, asked, now, open);
        taken = held && spend(held, { id: id ?? hexOf(random(16)), units: asked.units, mark, owner: owner.name, at: now });
        if (!taken || !held) return undefined;
        try {
          reach?.(held, taken.to);
          spent?.(state, taken, held, site);
        } catch (error) {
          settle({ ...state, spends: [taken] }, taken.id, 0);
          throw error;
        }
        state.spends.push(taken);
        state.rev += 1;
      }
      return { taken, held, asked };
    });
    if (!found) return undefined;
    const { taken, held } = found;
    const grant = /** @type {Grant} */ (held.grant);
    // Of a request that was left behind the terms of then count.
    const units = taken.to - taken.from;
    const asked = { maxTimeoutSeconds: 60, minUnits: units, ...found.asked, ...grant, payTo: grant.payee, units, amount: grant.unitPrice * BigInt(units) };
    return { ...asked, ...taken, word: wordAt(held.marks, taken.to), terms: asked, granted: held.at, site };
  }

  /** @param {string} route */
  terms = (route) => this.#ledger.change((state) => termsOf(state, route));

  /** @param {string} route @param {Terms | null} terms */
  learn = (route, terms) => this.#ledger.change((state) => learn(state, route, terms));

  /** @param {{ id: Hex }} paid @param {number} charged */
  #done({ id }, charged) {
    return (/** @type {State} */ state) => {
      const taken = state.spends.find((one) => one.id === id);
      const held = heldBy(state, taken?.key);
      if (taken && held) this.#source.returned?.(state, taken, held, taken.to - taken.from - charged);
      settle(state, id, charged);
    };
  }

  /** @param {{ id: Hex }} paid @param {number} charged */
  settle = (paid, charged) => this.#ledger.later(this.#done(paid, charged));

  /** Nothing was charged. @param {{ id: Hex }} paid */
  refuse = (paid) => this.#ledger.change(this.#done(paid, 0));

  /** @param {{ id: Hex }} paid */
  loosen = ({ id }) => this.#ledger.later((state) => loosen(state, id));

  /** @param {Hex} key */
  forget = (key) => this.#ledger.change((state) => forget(state, key));

  /**
   * Goes on behind what the server says it sold. What is skipped is shown to it, and so is paid for: no more than was shown
   * before, and as much again as this request wanted. A server that says more has another chain, or wants the grant for nothing.
   * @param {Paid} paid @param {readonly Interval[]} spent
   */
  behind = ({ key, from, to }, spent) =>
    this.#ledger.change((state) => {
      const held = heldBy(state, key);
      if (spent.some(([, end]) => end > (held?.shown ?? 0) + to - from)) forget(state, key);
      else sold(state, held, spent);
    });

  /** Resolves when there is a grant to pay from; several who wait for the same ask once. @param {Terms} terms @param {string} site @param {AbortSignal | null} [signal] */
  obtain(terms, site, signal) {
    const what = [terms.network, terms.asset, terms.payTo, terms.unitPrice, site].join();
    let asking = this.#asking.get(what);
    if (!asking) {
      asking = this.#source.obtain(terms, site).finally(() => this.#asking.delete(what));
      asking.catch(() => {});
      this.#asking.set(what, asking);
    }
    return unless(asking, signal);
  }
}
