// Joins the one process that has the engine to the store: streams and the site's terms go into it, the best words of all
// processes come out. Duty: it runs while the site sells; a word that it has not shown by a stream's expiry is money lost.
// @ts-check

/** @import { Engine, IncomingStream, Signer, Stream } from "./internal.js" */
/** @import { Ledger } from "./store/ledger.mjs" */

import { bytesOf, hexOf } from "../pay/wire.mjs";
import { hashed } from "./keccak.mjs";
import { invalid } from "./problem.mjs";
import { sound } from "./proofs.mjs";
import { freshKey } from "./receipt.mjs";
import { siteOf } from "./settings.mjs";

/** Milliseconds between looks at the store for words, for streams that end, and between notes of what the engine holds. */
const LOOK = 1_000;
const SWEEP = 10_000;
const NOTE = 30_000;

/** Milliseconds for which an end that was asked for waits for what is being served, and by which clocks of servers may differ. */
const SETTLE = 30_000;
const SKEW = 300_000;

/** Seconds for which a receipt's key is certified, and milliseconds before its end at which there is a new one. */
const CERTIFIED = 30 * 86_400;
const RENEW = 10 * 86_400_000;

/** @typedef {{ client: Engine, store: Ledger, idle?: number, margin?: number, every?: number, onError?: (error: unknown) => void }} TillOptions */

/**
 * Opens the till of a site whose servers are other processes. @param {import("./index.js").TillOptions} options
 */
export function till({ client, store, idle = 172_800, margin = 60, onError }) {
  return openTill({ client: /** @type {any} */ (client), store: /** @type {Ledger} */ (store), idle: idle * 1_000, margin: margin * 1_000, ...(onError && { onError }) });
}

/** @param {TillOptions} options `idle` and `margin` in milliseconds: without a payment, and before its expiry, a stream is given up */
export async function openTill(options) {
  const till = new Till(options);
  await till.begin();
  return till;
}

export class Till {
  #client;
  #rows;
  #idle;
  #margin;
  #every;
  #onError;
  /** @type {Map<string, IncomingStream>} */
  #streams = new Map();
  /** @type {(() => void) | undefined} */
  #off;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Promise<void>} */
  #working = Promise.resolve();
  #closed = false;
  #noted = 0;
  /** @type {string | undefined} */
  #payTo;
  #swept = 0;
  /** Streams whose payer wants the rest back, with until when what is open by them is waited for. @type {Map<string, { until: number, tried: boolean }>} */
  #ending = new Map();

  /** @param {TillOptions} options */
  constructor({ client, store, idle = 172_800_000, margin = 60_000, every = LOOK, onError = console.error }) {
    if (typeof client?.on !== "function") throw invalid("`client` must be what connect() gave.");
    this.#client = client;
    this.#rows = store.rows;
    this.#idle = idle;
    this.#margin = margin;
    this.#every = every;
    this.#onError = onError;
  }

  async begin() {
    const { address, chainId, contract, hub } = this.#client.info;
    const assets = hub.assets.map(({ asset, token, decimals }) => ({ symbol: asset, token, decimals }));
    const before = await this.#rows.fact("site");
    const known = before === undefined ? undefined : JSON.parse(before).payTo;
    if (known !== undefined && !this.#isOurs(known)) throw invalid(`The store belongs to the payee ${known}; take another store for ${address}.`);
    this.#payTo = known;
    const certified = await this.#certify();
    this.#payTo ??= certified ?? address.toLowerCase();
    const site = siteOf({ payTo: this.#payTo, chainId, contract, hub: hub.url, assets });
    await this.#rows.putFact("site", JSON.stringify(site));
    this.#off = this.#client.on("stream", ({ stream }) => this.#run(() => this.#take(stream)));
    this.#next();
  }

  /** Ends the till; what was sold is shown first. */
  async close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#off?.();
    clearTimeout(this.#timer);
    this.#run(() => this.#show());
    await this.#working;
  }

  /** One thing after the other, and a failure of one is none of the next. @param {() => Promise<void>} work */
  #run(work) {
    this.#working = this.#working.then(work).catch(this.#onError);
    return this.#working;
  }

  #next() {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.look(Date.now() - this.#swept > SWEEP).then(() => this.#next()), this.#every);
    this.#timer.unref();
  }

  /** What there is to do, at once. @param {boolean} [sweep] asks for streams that end, too: every one of them is looked at for that */
  look(sweep = true) {
    return this.#run(async () => {
      await this.#show();
      for (const key of await this.#rows.ended(Date.now() - SKEW)) this.#wants(key);
      await this.#giveBack(sweep);
      if (sweep) await this.#giveUp();
      await this.#note();
    });
  }

  /** A stream that the engine holds can be paid by from now on. @param {IncomingStream} stream */
  async #take(stream) {
    const record = recordOf(stream);
    if (!sound(record)) return this.#onError(invalid(`The stream ${record.key} is none that a paywall can verify.`));
    this.#streams.set(record.key, stream);
    // The payer wants the rest back: what was sold by then comes first.
    // Without the till nothing is given back: other processes go on selling by what the store has.
    stream.onend = () => (this.#closed ? undefined : this.#run(() => this.#end(record.key)));
    // Of one that is known this says again what the engine has: before a crash it may have had more than it had stored.
    await this.#rows.putStream(record);
    // Whoever ended it may have died before it was given up.
    if ((await this.#rows.stream(record.key))?.endedAt !== null) this.#wants(record.key);
  }

  /** A stream's end is in the store: what is left of it goes back as soon as nothing is open. @param {string} key */
  ends(key) {
    this.#wants(key);
    if (!this.#closed) void this.#run(() => this.#giveBack());
  }

  /** @param {string} key */
  #wants(key) {
    if (this.#streams.has(key) && !this.#ending.has(key)) this.#ending.set(key, { until: Date.now() + SETTLE, tried: false });
  }

  /** Of what is being served it is not known yet what it costs: taken now, all that was sent would be. It is waited for, though not for ever. @param {boolean} [again] tries what failed, too */
  async #giveBack(again = false) {
    for (const [key, ending] of this.#ending) {
      if (ending.tried && !again) continue;
      if (Date.now() < ending.until && (await this.#rows.open(key))) continue;
      ending.tried = true;
      await this.#end(key);
      if (!this.#streams.has(key)) this.#ending.delete(key);
    }
  }

  /** Gives the engine what was earned. It stores that, and tells the hub when it is time. */
  async #show() {
    for (const record of await this.#rows.due()) {
      const stream = this.#streams.get(record.key);
      if (stream === undefined) continue;
      try {
        take(stream, record, record.earned);
        await this.#rows.showed(record.key, record.earned);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  /** What nobody pays by, what expires, and what the engine has ended: first nobody sells by it any more, then the last word is
   * shown, then the rest goes back. */
  async #giveUp() {
    const now = Date.now();
    this.#swept = now;
    for (const { key } of await this.#rows.endable(now - this.#idle, now + this.#margin)) await this.#end(key);
    for (const [key, { ended }] of this.#streams) if (ended) await this.#end(key);
  }

  /** @param {string} key */
  async #end(key) {
    await this.#rows.endStream(key, Date.now());
    const stream = this.#streams.get(key);
    if (stream === undefined) return;
    if (stream.ended) return void this.#streams.delete(key);
    // After the end was stored no process sells, so this is all. What is being served still, or was when its process died, counts as
    // it was sent: the same id gets it after the end, too.
    const last = await this.#rows.stream(key);
    const sold = (await this.#rows.spent(key)).at(-1)?.[1] ?? 0;
    try {
      if (last !== undefined) take(stream, last, sold);
      await stream.giveUp();
      await this.#rows.showed(key, sold);
      this.#streams.delete(key);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** For the owner's report, which may run where no engine is. */
  async #note() {
    const now = Date.now();
    if (now - this.#noted < NOTE) return;
    this.#noted = now;
    await this.#certify();
    await this.#rows.putFact("engine", JSON.stringify(await engineNote(this.#client, now)));
  }

  /** Whether it is the account, or the key of its channel. @param {string} payee */
  #isOurs(payee) {
    const { address, signer } = this.#client.info;
    return [address, signer].some((each) => each?.toLowerCase() === payee.toLowerCase());
  }

  /**
   * A key for receipts, certified by the engine; gives the payee that it is certified for: the account, or, where a contract
   * answers for that, the key of its channel, since a page without a node can't ask a contract what it has bound. Without one
   * there are no receipts, and sales go on.
   * @returns {Promise<string | undefined>}
   */
  async #certify() {
    const had = await this.#rows.fact("signer");
    if (had !== undefined) {
      /** @type {Signer} */
      const { payee, expires } = JSON.parse(had);
      if (payee === (this.#payTo ?? payee) && this.#isOurs(payee) && expires * 1_000 > Date.now() + RENEW) return payee;
    }
    if (typeof this.#client.signReceiptKey !== "function") return;
    const { publicKey, secret } = freshKey();
    try {
      const signed = await this.#client.signReceiptKey({ publicKey, expiresIn: CERTIFIED });
      const { expires, signature, channelId, binding } = signed;
      // Where the payee's account signs payments itself there is nothing between them.
      const bound = binding === undefined ? {} : { channelId, binding };
      const payee = signed.payee.toLowerCase();
      // What another payee sold it proves nothing of.
      if (payee !== (this.#payTo ?? payee)) return;
      await this.#rows.putFact("signer", JSON.stringify({ publicKey, secret, payee, expires, signature, ...bound }));
      return payee;
    } catch (error) {
      this.#onError(error);
    }
  }
}

/** Of a hash chain no more than is due: a word above it, shown for what was not served, is hashed down. @param {IncomingStream} stream @param {Stream} record @param {number} due */
function take(stream, { condition, best, word }, due) {
  if (word === null || due <= stream.proved) return;
  if (condition === "voucher") stream.take({ to: best, word });
  else stream.take({ to: due, word: hexOf(hashed(bytesOf(word), best - due)) });
}

/** What the engine says of the money, as the report has it. @param {Engine} client @param {number} now */
export async function engineNote(client, now) {
  const balances = await client.balances();
  const payments = await client.payments({ direction: "received" });
  /** @param {string} token @param {"shown" | "paid"} what */
  const sum = (token, what) =>
    payments.reduce((total, each) => (each.stream === undefined || each.token !== token ? total : total + each.stream.unitPrice * BigInt(each.stream[what])), 0n);
  return {
    at: now,
    connected: client.info.connected,
    assets: balances.map(({ asset, token, available, receiving, receivable }) => ({
      symbol: asset, token: token.toLowerCase(), available: String(available), receiving: String(receiving), receivable: String(receivable),
      shown: String(sum(token, "shown")), redeemed: String(sum(token, "paid")),
    })),
  };
}

/** @param {IncomingStream} stream @returns {Stream} */
const recordOf = ({ key, condition, params, token, asset, unitPrice, units, revealBy: expiresAt, proved }) => ({
  key: key.toLowerCase(), condition, params: params.toLowerCase(), token: token.toLowerCase(), symbol: asset, unitPrice: String(unitPrice),
  units, expiresAt, endedAt: null, best: 0, word: null, earned: 0, shown: proved, usedAt: Date.now(),
});
