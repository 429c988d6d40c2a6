// A stream that goes on: its successor is placed before it is used up or expires, and `pay` passes over to it without a pause.
// Duty: at most one successor is asked for at a time, and it is found again after a restart, so that none stands twice. Its id
// has fresh random bytes, as that of every stream must, its number, and a mark of the first one's id.
// @ts-check

/** @import { ClientEvent, FarthingError, Hex, Interval, Payment, Renewal } from "./index.js" */
/** @typedef {import("./streams.mjs").Stream} Stream */
/** @typedef {{ id?: Hex | undefined, to: Hex, asset: string, unitPrice: bigint, units: number, condition?: string, memo?: string, expiresIn?: number, tip?: Hex, signal?: AbortSignal, timeout?: number }} Terms */
/** @typedef {{ place(terms: Terms): Promise<Stream>, sent(): Promise<readonly Payment[]>, cancel(id: Hex, options?: { signal?: AbortSignal, timeout?: number }): Promise<void>, tell(event: ClientEvent): void, after(work: () => void, milliseconds: number): any, over(first: Hex): void }} Bench */

import { fault } from "./faults.mjs";

/** The share of a stream's units, and of its time, at which its successor is placed. */
const SHARE = 1 / 4;
/** Milliseconds before the end of a stream's time that are early enough. */
const EARLY = 3_600_000;
const DAY = 86_400;
/** Milliseconds for which words of the old stream may still be on their way, once words of the new one are. */
const LINGER = 30_000;
/** The first and the longest pause before a successor that could not be placed is asked for again, milliseconds. */
const PAUSE = [1_000, 60_000];
/** Bytes of an id that are random, and those before its mark: a number of two bytes is between. */
const FRESH = 10;
const MARKED = 12;

/** Refuses what is no `renew`; gives the fewest units, or the share of them, that are to remain. @param {true | Renewal} renew */
export function belowOf(renew) {
  if (renew === true) return SHARE;
  const bad = (/** @type {string} */ what) => fault("invalid-argument", `${what} Nothing was placed.`);
  if (typeof renew !== "object" || renew === null) throw bad("The option renew is true, or an object with below.");
  for (const name of Object.keys(renew)) if (name !== "below") throw bad(`The option renew has no ${JSON.stringify(name)}; it has below.`);
  const { below = SHARE } = renew;
  if (typeof below !== "number" || !(below > 0) || (below >= 1 && !Number.isSafeInteger(below))) {
    throw bad("The option renew.below is a share of the units between 0 and 1, or a whole number of units.");
  }
  return below;
}

/** @param {Hex} id */
const bytesOf = (id) => id.slice(2).toLowerCase().match(/../g)?.map((pair) => parseInt(pair, 16)) ?? [];
/** @param {Iterable<number>} bytes @returns {Hex} */
const hexOf = (bytes) => `0x${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;

/** Four bytes of all of them; no secret hangs on it (FNV-1a). @param {number[]} bytes */
function markOf(bytes) {
  let mark = 0x811c9dc5;
  for (const byte of bytes) mark = Math.imul(mark ^ byte, 0x01000193);
  return [24, 16, 8, 0].map((shift) => (mark >>> shift) & 255);
}

export const randomId = () => hexOf(crypto.getRandomValues(new Uint8Array(16)));

/** The id of the stream with this number. @param {Hex} first @param {number} number */
export function heirOf(first, number) {
  const head = [...crypto.getRandomValues(new Uint8Array(FRESH)), (number >>> 8) & 255, number & 255];
  return hexOf([...head, ...markOf([...bytesOf(first), ...head])]);
}

/** Which number an id has among the first one's; nothing if it is none of them. @param {Hex} first @param {Hex} id */
export function numberOf(first, id) {
  const bytes = bytesOf(id);
  if (id === first) return 0;
  if (hexOf(markOf([...bytesOf(first), ...bytes.slice(0, MARKED)])) !== hexOf(bytes.slice(MARKED))) return undefined;
  return (bytes[FRESH] << 8) | bytes[FRESH + 1];
}

/** With these a stream says that it has not got so much. */
const LACKING = new Set(["insufficient-funds", "payment-failed", "payment-expired"]);

/** What a stream's object shows is the present stream's. */
const SHOWN = /** @type {const} */ (["id", "key", "direction", "condition", "params", "asset", "token", "unitPrice", "units", "memo", "status", "handedOver", "expiresAt", "revealBy", "to", "paid", "remaining"]);

export class Renewing {
  #bench;
  #terms;
  #least;
  #share;
  #early;
  /** @type {Stream} */
  #present = /** @type {any} */ (undefined);
  /** @type {Stream | undefined} */
  #next;
  /** Passed over; what is not used of them is still to come back. @type {Set<Stream>} */
  #left = new Set();
  /** What may stand already, though nobody said so. @type {{ id: Hex, units: number } | undefined} */
  #attempt;
  /** @type {Promise<Stream> | undefined} */
  #placing;
  /** Units that somebody wanted at once, and that were not there. */
  #wanted = 0;
  /** Of the one that is placed next. */
  #number = 0;
  #failures = 0;
  /** There was a pause since the payee gave back what nobody had paid by. */
  #rested = false;
  /** What waited last was given back so. */
  #spurned = false;
  /** @type {any} */
  #pause;
  /** @type {any} */
  #timer;
  #over = false;

  static {
    for (const name of SHOWN) {
      Object.defineProperty(this.prototype, name, {
        /** @this {Renewing} */
        get() {
          return this.#present[name];
        },
      });
    }
  }

  /** @param {Bench} bench @param {Terms & { id: Hex }} terms @param {number} below */
  constructor(bench, terms, below) {
    const { signal: _, ...rest } = terms;
    this.#bench = bench;
    this.#terms = rest;
    this.#least = below < 1 ? below * terms.units : below;
    this.#share = below < 1 ? below : SHARE;
    // The engine's time for showing words goes off it: what is left of it is known when a stream stands.
    this.#early = Math.min(this.#share * (terms.expiresIn ?? DAY) * 1_000, EARLY);
  }

  /** The id by which it is taken up again. */
  get first() { return this.#terms.id; }

  /** Key of the stream that `pay` will pass over to. */
  get next() { return this.#next?.key; }

  /** Takes up what an earlier process left, or places the first. @param {AbortSignal} [signal] @param {boolean} [known] the id is the application's, so there may be something */
  async begin(signal, known = false) {
    const family = known ? await this.#family() : [];
    /** @type {Stream[]} */
    const live = [];
    for (const payment of family) {
      if (payment.status !== "pending" && payment.status !== "held") continue;
      const stream = await this.#bench.place({ ...this.#terms, id: payment.id, units: /** @type {any} */ (payment).stream.units }).catch((error) => {
        // It never came to be used, and is on its way back.
        if (error?.code !== "payee-declined" && error?.code !== "payment-failed") throw error;
      });
      if (stream && usable(stream)) live.push(stream);
    }
    // What words were shown of last is where it goes on; what is older was left, and what is newer waits for its turn.
    const place = Math.max(0, live.findLastIndex(({ paid }) => paid > 0));
    this.#number = Math.max(-1, ...family.map(({ id }) => numberOf(this.first, id) ?? 0)) + 1;
    this.#present = live[place] ?? (await this.#bench.place({ ...this.#terms, id: this.#freshId(), ...(signal && { signal }) }));
    this.#next = live[place + 1];
    for (const other of [...live.slice(0, place), ...live.slice(place + 2)]) this.#leave(other);
    this.changed();
    return this;
  }

  #freshId() {
    const number = this.#number++;
    return number === 0 ? this.first : heirOf(this.first, number);
  }

  /** All that were placed under the first one's id, the oldest first. */
  async #family() {
    const { to, unitPrice, memo = "", condition = "hash-chain" } = this.#terms;
    const same = (/** @type {Payment} */ { id, stream, ...payment }) =>
      stream !== undefined && numberOf(this.first, id) !== undefined && stream.unitPrice === unitPrice && stream.condition === condition && !stream.granted &&
      payment.memo === memo && (payment.to === undefined || payment.to.toLowerCase() === to.toLowerCase());
    const number = (/** @type {Payment} */ { id }) => numberOf(this.first, id) ?? 0;
    // Not by their times: those are the chain's as a process saw it, and another one may have seen it earlier.
    return (await this.#bench.sent()).filter(same).sort((one, other) => number(one) - number(other) || one.createdAt - other.createdAt);
  }

  /** @param {number} [units] @returns {Interval} */
  pay(units = 1) {
    if (this.#over) throw fault("payment-failed", "The stream was ended: place another one. Nothing was paid.");
    if (Number.isSafeInteger(units) && !has(this.#present, units) && this.#next !== undefined && has(this.#next, units)) this.#turn(this.#next);
    try {
      return this.#present.pay(units);
    } catch (/** @type {any} */ error) {
      if (!LACKING.has(error.code)) throw error;
      this.#wanted = Math.max(this.#wanted, units);
      throw fault(error.code, `There are not ${units} units to be paid at once yet, ${usable(this.#present) ? this.#present.remaining : 0} are: await topUp(${units}). Nothing was paid.`);
    } finally {
      this.#look();
    }
  }

  /** Resolves when `pay(units)` can be paid. @param {number} units @param {{ signal?: AbortSignal }} [options] */
  async topUp(units, { signal } = {}) {
    if (!Number.isSafeInteger(units) || units < 1) throw fault("invalid-argument", "topUp() takes a whole number of units from 1 on. Nothing was placed.");
    while (!has(this.#present, units) && !(this.#next !== undefined && has(this.#next, units))) {
      if (this.#over) throw fault("payment-failed", "The stream was ended: place another one. Nothing was paid.");
      this.#wanted = Math.max(this.#wanted, units);
      await unless(this.#place(), signal);
    }
  }

  async saved() {
    await Promise.all(this.#all.map((stream) => stream.saved()));
  }

  /** @param {{ signal?: AbortSignal, timeout?: number }} [options] */
  async end(options) {
    this.stop();
    await this.#placing?.catch(() => {});
    const ends = this.#all.filter(({ ended }) => !ended).map((stream) => stream.end(options));
    // Of this one nobody said whether it stands.
    if (this.#attempt !== undefined) {
      ends.push(this.#bench.cancel(this.#attempt.id, options).catch((error) => {
        if (error?.code !== "unknown-payment") throw error;
      }));
    }
    for (const end of await Promise.allSettled(ends)) if (end.status === "rejected") throw end.reason;
  }

  /** No successor is placed any more. */
  stop() {
    this.#over = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#pause);
    this.#bench.over(this.first);
  }

  /** Something became of a stream. */
  changed() {
    // Who took words of this one has had those of the one before.
    if (this.#present.handedOver > 0) for (const stream of this.#left) this.#giveBack(stream);
    this.#look();
  }

  /** The hub is there again. */
  connected() {
    this.#failures = 0;
    this.#again();
  }

  #again() {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#look();
  }

  /** No more is paid by it, and no successor is placed. */
  get ended() { return this.#over; }

  get #all() {
    return [this.#present, ...(this.#next ? [this.#next] : []), ...this.#left];
  }

  /** Places the next one, if it is time and nothing is in the way. */
  #look() {
    clearTimeout(this.#timer);
    if (this.#over || this.#placing !== undefined || this.#pause !== undefined) return;
    if (this.#next !== undefined && !this.#fresh(this.#next)) {
      this.#spurned = this.#next.ended && this.#next.paid === 0;
      this.#leave(this.#next);
      this.#next = undefined;
    }
    const waits = this.#next !== undefined && this.#next.units >= this.#wanted;
    // A payee that gives back what nobody has paid by wants no stream now.
    if (!waits && this.#declined && !this.#rested) {
      this.#rested = true;
      this.#rest(fault("payee-declined", "The payee gave the stream back before anything was paid by it. No money moved."));
      return;
    }
    if (!waits && (!this.#fresh(this.#present) || this.#present.remaining <= this.#least || this.#wanted > this.#present.remaining)) {
      this.#place().catch(() => {
        // It was told; there is a next time.
      });
      return;
    }
    const soonest = Math.min(...[this.#present, ...(this.#next ? [this.#next] : [])].map(({ revealBy }) => revealBy)) - this.#early;
    if (soonest > Date.now()) this.#timer = this.#bench.after(() => this.#look(), soonest - Date.now());
  }

  /** It can be paid by for a while. @param {Stream} stream */
  #fresh(stream) {
    return !stream.ended && Date.now() < stream.revealBy - this.#early;
  }

  #place() {
    this.#placing ??= this.#ask().finally(() => {
      this.#placing = undefined;
      this.#look();
    });
    return this.#placing;
  }

  async #ask() {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#attempt ??= { id: this.#freshId(), units: Math.max(this.#terms.units, this.#wanted) };
    const asked = this.#attempt;
    try {
      const stream = await this.#bench.place({ ...this.#terms, ...asked });
      this.#attempt = undefined;
      if (!usable(stream)) throw fault("payment-failed", "The next stream was over before it was used. No money moved.");
      this.#early = Math.min(this.#early, this.#share * (stream.revealBy - Date.now()));
      if (this.#wanted <= stream.units) this.#wanted = 0;
      this.#rested = false;
      if (!this.#declined) this.#failures = 0;
      if (this.#next !== undefined) this.#leave(this.#next);
      this.#next = stream;
      if (!this.#over) this.#bench.tell({ type: "renewal", stream: /** @type {any} */ (this), next: stream.key });
      return stream;
    } catch (/** @type {any} */ error) {
      // Only of this is it not known whether it stands.
      if (error?.code !== "unanswered") this.#attempt = undefined;
      this.#wanted = 0;
      if (error?.code === "client-closed") this.stop();
      if (!this.#over) this.#rest(error);
      throw error;
    }
  }

  get #declined() {
    return (this.#present.ended && this.#present.paid === 0) || (this.#spurned && this.#next === undefined);
  }

  /** It could not be placed: that is told, and it is tried again. @param {FarthingError} error */
  #rest(error) {
    const pause = Math.min(PAUSE[0] * 2 ** this.#failures, PAUSE[1]);
    this.#failures += 1;
    this.#pause = this.#bench.after(() => this.#again(), pause);
    this.#bench.tell({ type: "renewal", stream: /** @type {any} */ (this), error });
  }

  /** @param {Stream} next */
  #turn(next) {
    const old = this.#present;
    this.#present = next;
    this.#next = undefined;
    this.#spurned = false;
    this.#leave(old);
  }

  /** What is not used of it comes back, but not before its last words can have arrived. @param {Stream} stream */
  #leave(stream) {
    if (stream.ended || stream.remaining === 0) return;
    this.#left.add(stream);
    this.#bench.after(() => this.#giveBack(stream), LINGER);
  }

  /** @param {Stream} stream */
  #giveBack(stream) {
    if (!this.#left.delete(stream) || stream.ended || this.#over) return;
    // First it is stored that there is a newer one in use: a restart in between must not go on with what is given back.
    this.#present.saved().then(() => stream.end()).catch(() => {
      // The engine asks for it again, and at its expiry it is back.
    });
  }
}

/** @param {Stream} stream */
const usable = (stream) => !stream.ended && Date.now() < stream.revealBy;

/** @param {Stream} stream @param {number} units */
const has = (stream, units) => usable(stream) && !(stream.remaining < units);

/** Waits for it no longer than the signal allows. @template Value @param {Promise<Value>} promise @param {AbortSignal | undefined} signal @returns {Promise<Value>} */
function unless(promise, signal) {
  if (signal === undefined) return promise;
  return new Promise((done, fail) => {
    const stop = () => fail(fault("aborted", "The signal was aborted; the next stream is placed all the same. Nothing was paid."));
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(done, fail).finally(() => signal.removeEventListener("abort", stop));
  });
}
