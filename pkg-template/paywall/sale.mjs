// One paid request, from the durable sale to what it was charged. Duty: that less was charged is told only when it is durable.
// @ts-check

/** @import { Answer, HeaderBag, Quote, Record, Stream } from "./internal.js" */
/** @import { PaidRequest } from "./index.js" */
/** @import { Wall } from "./wall.mjs" */

import { RESPONSE } from "../pay/scheme.mjs";
import { Meter } from "./meter.mjs";
import { PaywallError, invalid } from "./problem.mjs";
import { unitsFor } from "./spend.mjs";

/** What an answer has to be to be paid for: whoever gets an error or is sent elsewhere has got nothing. @param {number} status */
export const isServed = (status) => status >= 200 && status < 300;

export class Sale {
  /** @type {Meter | undefined} */
  meter;
  record;
  route;
  #wall;
  #stream;
  /** Units that its handler asks for. */
  #charge;
  /** It was served before, and charged then. */
  #again;
  #settled = false;
  /** @type {((event: any) => void) | undefined} */
  #listener;
  /** Told before the answer began. @type {object | undefined} */
  #early;
  /** A receipt that was signed before the handler ran, for so many units. @type {{ charged: number, receipt: string | undefined } | undefined} */
  #signed;

  /** @param {Wall} wall @param {import("./wall.mjs").Route} route @param {Stream} stream @param {Record} record @param {Quote} quote @param {boolean} again */
  constructor(wall, route, stream, record, quote, again) {
    this.#wall = wall;
    this.route = route;
    this.#stream = stream;
    this.record = record;
    this.#again = again;
    // Who sent more than it costs has the rest back.
    const price = Number(unitsFor(quote.amount, BigInt(stream.unitPrice)));
    this.#charge = again ? record.charged : Math.min(record.to - record.from, price);
    if (quote.rate !== undefined) this.meter = this.#metered(quote.rate);
  }

  /** @param {NonNullable<Quote["rate"]>} rate */
  #metered(rate) {
    const price = BigInt(this.#stream.unitPrice);
    const meter = new Meter({
      rate,
      margin: this.route.margin * price,
      patience: this.#wall.settings.patience,
      look: async () => {
        for (const record of await this.#wall.ledger.rows.session(this.record.id)) await this.joined(record);
      },
      notice: (event) => this.#tell(event),
    });
    // What was served before is served again for what it was charged; a crash before that, for what was paid.
    const units = this.#again ? this.record.charged : this.record.to - this.record.from;
    meter.add({ ...this.record, to: this.record.from + units }, price);
    return meter;
  }

  /** What it will be charged if its handler says nothing else is signed beforehand, beside the thread that serves. */
  async sign() {
    const charged = this.#charge;
    this.#signed = { charged, receipt: await this.#wall.sign(this.#stream, { ...this.record, charged }) };
  }

  /** Tells where the reader stands, before what is paid ends. @param {(event: any) => void} listener */
  onNotice(listener) {
    this.#listener = listener;
    if (this.#early !== undefined) listener(this.#early);
    this.#early = undefined;
  }

  /** @param {object} event */
  #tell(event) {
    if (this.#listener === undefined) this.#early = event;
    else this.#listener(event);
  }

  /** A further interval of this session. @param {Record} record */
  async joined(record) {
    if (this.meter === undefined || record.session === null || record.state === "failed") return;
    const stream = await this.#wall.streamOf(record.key);
    if (stream !== undefined) this.meter.add({ ...record, to: record.from + record.charged }, BigInt(stream.unitPrice));
  }

  /** What the handler gets. @returns {PaidRequest} */
  face() {
    const { key, id, from, to, attempt } = /** @type {any} */ (this.record);
    const sale = this;
    return Object.freeze({
      key,
      id,
      from,
      to,
      attempt,
      unitPrice: BigInt(this.#stream.unitPrice),
      charge(/** @type {number} */ units) {
        if (sale.meter !== undefined) throw invalid("A metered answer is charged by what it uses: call use().");
        if (!Number.isSafeInteger(units) || units < 0 || units > to - from) throw invalid(`charge() takes a number of units from 0 to ${to - from}.`);
        if (sale.#settled) throw invalid("It was charged already: call charge() before the answer begins.");
        if (!sale.#again) sale.#charge = units;
      },
      async use(/** @type {bigint} */ amount) {
        if (sale.meter === undefined || sale.route.rate !== "use") throw invalid("use() is for routes with the price { used: true }.");
        if (typeof amount !== "bigint" || amount < 0n) throw invalid("use() takes a bigint of base units.");
        if (!(await sale.meter.take(amount))) throw new PaywallError("not-paid", "The reader has paid no further. End the answer; what was used so far is charged.");
      },
    });
  }

  /** Whether an answer with this status is kept for the same id: where a second run of the handler could do harm. @param {number} status */
  keeps(status) {
    return this.meter === undefined && isServed(status) && !this.#again && (this.route.keep ?? !["GET", "HEAD"].includes(this.record.method));
  }

  /** The handler has answered: what is charged is settled, durably if it is less than was sent. @param {number} status */
  async answered(status) {
    if (this.meter !== undefined && isServed(status)) return;
    if (this.#again) return;
    if (!isServed(status)) this.#charge = 0;
    if (this.meter !== undefined) return this.#close(0n);
    if (this.#charge < this.record.to - this.record.from) await this.#settle(this.#charge);
  }

  /** Whether `answered` has nothing to wait for. @param {number} status */
  isPlain(status) {
    return this.#again || (isServed(status) && (this.meter !== undefined || this.#charge === this.record.to - this.record.from));
  }

  /** The answer is through, or its reader has left, or (`broken`) it broke on our side: then nothing is charged but what a meter has counted. @param {{ broken: boolean }} how */
  async done({ broken }) {
    if (this.meter !== undefined) {
      this.meter.stop();
      return this.#close(this.meter.used);
    }
    if (!this.#settled && !this.#again) await this.#settle(broken ? 0 : this.#charge);
  }

  /** The whole answer, to be kept; durable when it resolves. @param {Answer} answer */
  async keep(answer) {
    const small = answer.body.length <= this.#wall.settings.keep.bytes;
    await this.#settle(this.#charge, small ? answer : undefined);
  }

  /** Nobody ends it. */
  abandon() {
    this.#wall.ledger.let(this.record.key, this.record.id);
  }

  /** @param {number} units @param {Answer} [answer] */
  async #settle(units, answer) {
    if (this.#settled) return;
    this.#settled = true;
    await this.#wall.persist(() => this.#wall.ledger.settle(this.record, units, answer));
    this.record = { ...this.record, charged: units };
  }

  /** @param {bigint} used */
  async #close(used) {
    if (this.#settled) return;
    this.#settled = true;
    this.#wall.sessions.delete(this.record.id);
    if (this.#again) return;
    const outcome = await this.#wall.persist(() => this.#wall.ledger.close(this.record, used));
    if (outcome.step !== "settled") return;
    for (const record of outcome.records) this.#tell({ record, used: record.from + record.charged, end: true });
  }

  /** The headers of the answer. @param {HeaderBag} headers @param {number} status */
  dress(headers, status) {
    const metered = this.meter !== undefined && isServed(status);
    const record = this.#again ? this.record : { ...this.record, charged: this.#charge };
    const signed = record.charged === this.#signed?.charged ? this.#signed.receipt : undefined;
    headers.set(RESPONSE, this.#wall.answerFor(this.#stream, record, metered, signed));
  }
}
