// Counts what a metered answer uses against what its session has paid, and holds it where that ends. Amounts are in base
// units, so that intervals of several streams add up.
// @ts-check

/** @import { Rate, Record } from "./internal.js" */

/** Milliseconds between looks at the store, while more is needed: a further payment may come in by another process. */
const LOOK = 200;

export class Meter {
  /** Base units. */
  paid = 0n;
  used = 0n;
  over = false;
  /** @type {{ record: Record, amount: bigint, price: bigint }[]} */
  #intervals = [];
  #rate;
  #margin;
  #patience;
  #look;
  #notice;
  #told = -1n;
  /** @type {(() => void)[]} */
  #waiting = [];
  /** @type {(() => void)[]} */
  #ends = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #looking;
  #since = 0;
  #running = false;
  #stopped = false;
  /** Of the second that has begun, milliseconds times price. */
  #rest = 0n;

  /**
   * @param {{ rate: Rate, margin: bigint, patience: number, look: () => Promise<void>, notice: (at: { record: Record, used: number, end: boolean }) => void }} options
   * `margin`: base units before the end at which the payer is told; `look`: adds what the store knows beside
   */
  constructor({ rate, margin, patience, look, notice }) {
    this.#rate = rate;
    this.#margin = margin;
    this.#patience = patience;
    this.#look = look;
    this.#notice = notice;
  }

  /** A further interval of the session; once each. @param {Record} record @param {bigint} price */
  add(record, price) {
    if (this.#intervals.some((each) => each.record.key === record.key && each.record.id === record.id)) return;
    const amount = BigInt(record.to - record.from) * price;
    this.#intervals.push({ record, amount, price });
    this.paid += amount;
    this.#wake();
    if (this.#running) this.#tick();
  }

  /** Bytes of so many that are paid for. @param {number} bytes */
  bytes(bytes) {
    if (this.#rate.per !== "byte") return bytes;
    const fit = (this.paid - this.used) / this.#rate.price;
    return fit < BigInt(bytes) ? Number(fit) : bytes;
  }

  /** @param {number} bytes */
  costOf(bytes) {
    return this.#rate.per === "byte" ? BigInt(bytes) * this.#rate.price : 0n;
  }

  /** Waits for a further payment. */
  more() {
    return this.#more();
  }

  /** Counts an amount; waits until it is paid. `false` if it never was, and nothing was counted. @param {bigint} amount @param {boolean} [whole] a part is of no use: it waits for all of it */
  async take(amount, whole = true) {
    while (this.used + (whole ? amount : 1n) > this.paid) {
      if (this.over || !(await this.#more())) return false;
    }
    this.used += amount;
    this.#warn();
    return true;
  }

  /** Counts bytes that `bytes` has let through. @param {number} bytes */
  passed(bytes) {
    if (this.#rate.per !== "byte") return;
    this.used += BigInt(bytes) * this.#rate.price;
    this.#warn();
  }

  /** Waits until something may be delivered. */
  async open() {
    while (this.used >= this.paid) {
      if (this.over || !(await this.#more())) return false;
    }
    return !this.over;
  }

  /** The clock runs while the reader waits for us, or has what it asked for. */
  run() {
    if (this.#rate.per !== "second" || this.#running || this.#stopped) return;
    this.#running = true;
    this.#since = performance.now();
    this.#tick();
  }

  /** The reader wants nothing at this moment: that costs nothing. */
  pause() {
    if (!this.#running) return;
    this.#count();
    this.#running = false;
    clearTimeout(this.#timer);
  }

  /** No more is delivered. */
  stop() {
    this.pause();
    this.#stopped = true;
    this.#end();
    clearTimeout(this.#looking);
    this.#looking = undefined;
    this.#wake();
  }

  /** Resolves when no more will be delivered. @returns {Promise<void>} */
  ended() {
    return this.over ? Promise.resolve() : new Promise((resolve) => this.#ends.push(resolve));
  }

  #end() {
    this.over = true;
    for (const done of this.#ends.splice(0)) done();
  }

  /** Where the reader stands: the interval that is being used, and up to where. */
  place() {
    let left = this.used;
    for (const [index, { record, amount, price }] of this.#intervals.entries()) {
      if (left <= amount && (left < amount || index === this.#intervals.length - 1)) return { record, used: record.from + Number((left + price - 1n) / price) };
      left -= amount;
    }
    const { record } = /** @type {{ record: Record }} */ (this.#intervals.at(-1));
    return { record, used: record.to };
  }

  /** Takes in the time that has passed; never more than is paid. */
  #count() {
    const now = performance.now();
    const milliseconds = BigInt(Math.max(0, Math.round(now - this.#since)));
    this.#since = now;
    const spent = milliseconds * this.#rate.price + this.#rest;
    this.#rest = spent % 1000n;
    const used = this.used + spent / 1000n;
    this.used = used < this.paid ? used : this.paid;
  }

  #tick() {
    clearTimeout(this.#timer);
    this.#count();
    this.#warn();
    const left = this.paid - this.used;
    if (left <= 0n) {
      // The clock stands until there is more; whoever delivers waits in `open`.
      this.#running = false;
      this.#rest = 0n;
      void this.#more().then((there) => there && this.run());
      return;
    }
    const until = left > this.#margin ? left - this.#margin : left;
    this.#timer = setTimeout(() => this.#running && this.#tick(), Number((until * 1000n) / this.#rate.price) + 1);
    this.#timer.unref();
  }

  /** Tells once for each end that comes near. */
  #warn() {
    if (this.paid - this.used > this.#margin || this.#told === this.paid || this.over) return;
    this.#told = this.paid;
    this.#notice({ ...this.place(), end: false });
    this.#watch();
  }

  /** Waits for a payment: `false` when patience ends or all is over. @returns {Promise<boolean>} */
  #more() {
    if (this.over) return Promise.resolve(false);
    this.#warn();
    this.#watch();
    const had = this.paid;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        if (this.paid === had) this.#end();
        this.#wake();
      }, this.#patience);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve(this.paid > had);
      });
    });
  }

  #wake() {
    for (const done of this.#waiting.splice(0)) done();
  }

  /** Looks for what came in elsewhere, while little is left. */
  #watch() {
    if (this.#looking !== undefined || this.over) return;
    this.#looking = setTimeout(async () => {
      await this.#look().catch(() => {});
      this.#looking = undefined;
      if (this.paid - this.used <= this.#margin) this.#watch();
    }, LOOK);
    this.#looking.unref();
  }
}
