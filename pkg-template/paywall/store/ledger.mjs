// A store as the paywall sees it: what is asked of it at the same time becomes one transaction (group commit), and while
// the process lives it says so, so that nobody else goes on with what it serves.
// @ts-check

/** @import { Answer, Backend, Op, Outcome, Record, Spend } from "../internal.js" */

import { randomBytes } from "node:crypto";
import { PaywallError, invalid } from "../problem.mjs";
import { nameOf } from "./batch.mjs";

/** Milliseconds for which a process that is gone still counts as alive. */
const LEASE = 10_000;

/** Milliseconds that a settlement which says what is stored already may wait for the next transaction. */
const LAZY = 20;

/** In one transaction. */
const MOST = 512;

/** That may wait. Who comes later is told that the store is busy. */
const QUEUE = 65_536;

export class Ledger {
  /** Who we are, among the processes of the store. */
  holder = `0x${randomBytes(16).toString("hex")}`;
  #backend;
  #lease;
  /** What this process serves. @type {Set<string>} */
  #active = new Set();
  /** @type {{ op: Op, resolve(outcome: Outcome): void, reject(error: unknown): void }[]} */
  #queue = [];
  #running = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #lazy;
  #closed = false;
  #beaten = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pulse;
  /** @type {Promise<void> | undefined} */
  #begun;

  /** @param {Backend} backend @param {{ lease?: number }} options */
  constructor(backend, { lease = LEASE }) {
    if (!Number.isSafeInteger(lease) || lease < 100) throw invalid("The lease must be at least 100 milliseconds.");
    this.#backend = backend;
    this.#lease = lease;
  }

  /** What only reads, or writes what needs no judgement. */
  get rows() {
    return this.#backend;
  }

  /** Sells an interval. When it resolves, what it says is durable. @param {Spend} op */
  async spend(op) {
    const outcome = await this.#push({ ...op, type: "spend" });
    if (outcome.step === "serve") this.#active.add(nameOf(outcome.record.key, outcome.record.id));
    return outcome;
  }

  /** Of one that is served no more, and not settled: the same id may go on. @param {string} key @param {string} id */
  let(key, id) {
    this.#active.delete(nameOf(key, id));
  }

  /** What was served is charged, the rest unspent. @param {Record} record @param {number} charged @param {Answer} [answer] */
  settle({ key, id, from, to, attempt }, charged, answer) {
    // All of it is charged from the moment that it is sold, so it can be told before this is stored.
    const lazy = charged === to - from && answer === undefined;
    return this.#push({ type: "settle", key, id, attempt, charged, ...(answer && { answer }) }, lazy).finally(() => this.let(key, id));
  }

  /** Ends a session of which `used` base units were used. @param {Record} record @param {bigint} used */
  close({ key, id, attempt }, used) {
    return this.#push({ type: "close", key, id, attempt, used }).finally(() => this.let(key, id));
  }

  /** Lets go of everything; what waits is done first. */
  async end() {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#pulse);
    this.#begin();
    while (this.#running) await new Promise((resolve) => setImmediate(resolve));
    await this.#backend.leave(this.holder).catch(() => {});
    await this.#backend.close();
  }

  /** @param {Op} op @param {boolean} [lazy] @returns {Promise<Outcome>} */
  #push(op, lazy = false) {
    if (this.#closed) return Promise.reject(new PaywallError("storage-failed", "The store is closed."));
    if (this.#queue.length >= QUEUE) return Promise.reject(new PaywallError("storage-failed", "Too much waits for the store."));
    return new Promise((resolve, reject) => {
      this.#queue.push({ op, resolve, reject });
      if (lazy) this.#lazy ??= setTimeout(() => this.#begin(), LAZY);
      else this.#begin();
    });
  }

  #begin() {
    clearTimeout(this.#lazy);
    this.#lazy = undefined;
    if (this.#running) return;
    this.#running = true;
    setImmediate(() => void this.#drain());
  }

  async #drain() {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, MOST);
      try {
        await this.#alive();
        const outcomes = await this.#backend.run(batch.map(({ op }) => op), this.holder, this.#active);
        // Before anybody hears of it, so that the next transaction knows what is being served.
        outcomes.forEach((outcome) => outcome.step === "serve" && this.#active.add(nameOf(outcome.record.key, outcome.record.id)));
        batch.forEach(({ resolve }, index) => resolve(outcomes[index]));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = false;
  }

  /** Our lease must stand before we hold anything, and goes on while we live. */
  async #alive() {
    if (Date.now() - this.#beaten < this.#lease / 2) return;
    this.#begun ??= this.#beat().finally(() => (this.#begun = undefined));
    await this.#begun;
  }

  async #beat() {
    await this.#backend.beat(this.holder, this.#lease);
    this.#beaten = Date.now();
    if (this.#pulse !== undefined || this.#closed) return;
    this.#pulse = setInterval(() => void this.#backend.beat(this.holder, this.#lease).then(() => (this.#beaten = Date.now()), () => {}), this.#lease / 3);
    this.#pulse.unref();
  }
}
