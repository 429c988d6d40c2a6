// Streams as an application sees them: an object that pays units, and one that takes them. Words are made and checked
// here, at once, by the module's small machines; what is signed, stored and said to the hub is the engine's.
// @ts-check

/** @import { ClientEvent, Hex, Info, Payment, Revealing } from "./index.js" */
/** @import { Core, Inner, PlacedStream, StreamPart } from "./internal.js" */
/** @typedef {Payment & { stream: StreamPart }} Streamed */
/** @typedef {import("./renewal.mjs").Renewing} Renewing */

import { fault } from "./faults.mjs";
import { glue } from "./core.mjs";

/** When an incoming stream shows its best word by itself, unless the application says otherwise. @type {Required<Revealing>} */
const REVEALING = { share: 1 / 8, age: 10_000, idle: 0 };

/** Milliseconds after which what was paid is noted in the store. */
const NOTING = 250;

/** With these the engine says that no word of a stream counts any more: too late, given up, over. */
const OVER = new Set(["payment-expired", "payee-declined", "unknown-payment"]);

/** What a stream that goes on has in common with its successors. */
const OF_ALL = ["to", "asset", "unitPrice", "condition", "memo"];

/** The longest that a timer can wait. */
const MOST = 2 ** 31 - 1;

/** A timer that keeps no process alive. @param {() => void} work @param {number} milliseconds */
function after(work, milliseconds) {
  const timer = setTimeout(work, Math.max(0, Math.min(milliseconds, MOST)));
  /** @type {any} */ (timer).unref?.();
  return timer;
}

/** What both ends of a stream are. */
class End {
  /** @type {Streamed} */
  #payment;
  /** @type {Core} */
  core;

  /** @param {Core} core @param {Streamed} payment */
  constructor(core, payment) {
    this.core = core;
    this.#payment = payment;
  }

  /** @param {Streamed} payment */
  follow(payment) {
    this.#payment = payment;
  }

  get id() { return this.#payment.id; }
  get key() { return this.#payment.stream.key; }
  get direction() { return this.#payment.direction; }
  get condition() { return this.#payment.stream.condition; }
  get params() { return this.#payment.stream.params; }
  get asset() { return this.#payment.asset; }
  get token() { return this.#payment.token; }
  get unitPrice() { return this.#payment.stream.unitPrice; }
  get units() { return this.#payment.stream.units; }
  get memo() { return this.#payment.memo; }
  get status() { return this.#payment.status; }
  get handedOver() { return this.#payment.stream.paid; }
  get expiresAt() { return /** @type {number} */ (this.#payment.expiresAt); }
  get revealBy() { return this.#payment.stream.revealBy; }
  get to() { return this.#payment.to; }
  /** The rest is to be given up as soon as what is proved is handed over. */
  get ending() { return this.#payment.stream.ending; }

  get ended() {
    return this.status === "completed" || this.status === "failed" || this.status === "returning";
  }
}

/** Pays units: see `streams.d.ts`. */
export class Stream extends End {
  /** @type {import("./core_bg.js")._Words | undefined} */
  #words;
  #paid;
  #noted;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Promise<void> | undefined} */
  #noting;

  /** @param {Core} core @param {PlacedStream} placed @param {Info} info */
  constructor(core, { payment, words }, info) {
    super(core, payment);
    this.#paid = this.#noted = payment.stream.shown;
    if (words !== undefined) {
      this.#words = new glue._Words(this.condition === "voucher", words, this.units, info.chainId, info.contract, this.key);
    }
  }

  /** What was shown elsewhere, or before a backup that this store comes from, is paid. @param {Streamed} payment */
  follow(payment) {
    super.follow(payment);
    this.#noted = Math.max(this.#noted, payment.stream.shown);
    this.#paid = Math.max(this.#paid, this.#noted);
  }

  get paid() { return this.#paid; }
  get remaining() { return this.units - this.#paid; }

  pay(units = 1) {
    if (this.#words === undefined) throw fault("unsupported", "The words of a granted stream are made by whoever has its root. Nothing was paid.");
    if (!Number.isSafeInteger(units) || units < 1) throw fault("invalid-argument", "pay() takes a whole number of units from 1 on. Nothing was paid.");
    if (this.ended) throw fault("payment-failed", `The stream has ended (${this.status}): place another one. Nothing was paid.`);
    if (Date.now() >= this.revealBy) throw fault("payment-expired", "The stream is too near its expiry: place another one. Nothing was paid.");
    if (units > this.remaining) {
      throw fault("insufficient-funds", `The stream has ${this.remaining} units left, and ${units} were to be paid: place another one. Nothing was paid.`);
    }
    const from = this.#paid;
    const word = /** @type {Hex} */ (this.#words.word(from + units));
    this.#paid = from + units;
    this.#timer ??= after(() => this.saved().catch(() => {}), NOTING);
    return Object.freeze({ key: this.key, from, to: this.#paid, word });
  }

  /** @returns {Promise<void>} */
  async saved() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#noted < this.#paid && !this.ended) {
      this.#noting ??= this.#note().finally(() => (this.#noting = undefined));
      await this.#noting;
    }
  }

  async #note() {
    const units = this.#paid;
    await this.core.noteShown({ id: this.id, units });
    this.#noted = Math.max(this.#noted, units);
  }

  /** @param {{ signal?: AbortSignal, timeout?: number }} [options] */
  async end(options) {
    await this.saved();
    await this.core.cancel({ ...options, _id: this.id });
  }
}

/** Takes units: see `streams.d.ts`. */
class IncomingStream extends End {
  #proofs;
  #revealed;
  /** Units that were proved when the engine had not forgotten them. */
  #before;
  #revealing = REVEALING;
  #givenUp = false;
  /** Why the engine takes no word any more. @type {{ code: import("./index.js").ErrorCode, message: string } | undefined} */
  #over;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #idle;
  /** @type {Promise<void> | undefined} */
  #work;
  /** @type {(() => unknown) | undefined} */
  onend;

  /** @param {Core} core @param {Streamed} payment @param {Info} info */
  constructor(core, payment, info) {
    super(core, payment);
    this.#proofs = new glue._Proofs(this.condition === "voucher", this.params, this.units, this.expiresAt / 1_000, info.chainId, info.contract);
    this.#revealed = this.#before = payment.stream.shown;
    this.#schedule();
  }

  /** What was proved in another tab is not sold again here. @param {Streamed} payment */
  follow(payment) {
    super.follow(payment);
    this.#before = Math.max(this.#before, payment.stream.shown);
    this.#revealed = Math.max(this.#revealed, payment.stream.shown);
  }

  get proved() { return Math.max(this.#before, this.#proofs.proved()); }

  /** @param {{ to: number, word: Hex }} paid */
  take({ to, word }) {
    if (this.ended) throw fault("payment-failed", `The stream has ended (${this.status}). Nothing was taken.`);
    if (this.#over !== undefined) throw fault(this.#over.code, `${this.#over.message} Nothing was taken.`);
    // Also what was given up before a restart, or in another tab.
    if (this.#givenUp || this.ending) throw fault("payee-declined", "The rest of this stream was given up: its words count no more. Nothing was taken.");
    if (Date.now() >= this.revealBy) throw fault("payment-expired", "The stream is too near its expiry for its words to be shown in time. Nothing was taken.");
    if (!Number.isSafeInteger(to) || to < 1 || to > this.units || typeof word !== "string") {
      throw fault("bad-evidence", `The stream has the units from 1 to ${this.units}, and a word is a string of hex. Nothing was taken.`);
    }
    const before = this.proved;
    this.#proofs.take(to, word);
    if (this.proved > before) this.#schedule();
    return this.proved - before;
  }

  /** @param {Revealing} revealing */
  revealing(revealing) {
    this.#revealing = { ...this.#revealing, ...revealing };
    this.#schedule();
  }

  /** @returns {Promise<void>} */
  async reveal() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // What was proved until now: who pays on meanwhile must not keep it going, since each showing takes the engine's time.
    const proved = this.#proofs.proved();
    while (proved > this.#revealed && !this.ended) {
      this.#work ??= this.#show().finally(() => (this.#work = undefined));
      await this.#work;
    }
  }

  async #show() {
    const [units, evidence] = [this.#proofs.proved(), this.#proofs.evidence()];
    await this.core.reveal({ id: this.id, evidence }).catch((error) => {
      if (OVER.has(error?.code)) this.#over = error;
      throw error;
    });
    this.#revealed = Math.max(this.#revealed, units);
  }

  async giveUp() {
    // No word is taken from here on: what is shown after the rest was given up counts no more.
    this.#givenUp = true;
    try {
      await this.reveal();
    } catch (error) {
      this.#givenUp = false;
      throw error;
    }
    // The engine may have noted it, though it failed to say so: no word is taken even then.
    if (!this.ended) await this.core.endStream({ id: this.id });
  }

  /** The payer asks for the rest. */
  asked() {
    const answer = this.onend ?? (() => this.giveUp());
    Promise.resolve().then(() => answer.call(this)).catch(() => {
      // It goes back at its expiry all the same, and the payer may ask again.
    });
  }

  /** By amount, by age, before the expiry, and when idle. */
  #schedule() {
    if (this.ended) return;
    const { share, age, idle } = this.#revealing;
    const waiting = this.#proofs.proved() - this.#revealed;
    const again = () => after(() => this.reveal().catch(() => this.#retry()), Math.min(age, this.revealBy - Date.now()));
    if (waiting >= Math.max(1, this.units * share) && this.#work === undefined) this.reveal().catch(() => this.#retry());
    else if (waiting > 0) this.#timer ??= again();
    clearTimeout(this.#idle);
    if (idle > 0) this.#idle = after(() => this.giveUp().catch(() => this.#schedule()), idle);
  }

  /** The engine could not: it is asked again, until the stream ends or no word counts any more. */
  #retry() {
    if (this.#over !== undefined) return;
    this.#timer ??= after(() => this.reveal().catch(() => this.#retry()), 1_000);
  }
}

/** The streams of a client. */
export class Streams {
  /** @type {Map<Hex, Stream | IncomingStream>} */
  #known = new Map();
  /** Those that go on, by the id of their first. @type {Map<Hex, { renewing: Renewing, terms: any, ready: boolean, begun: Promise<Renewing> }>} */
  #renewing = new Map();
  /** Streams of which the rest was asked for before anybody took them. @type {Set<Hex>} */
  #asked = new Set();
  /** @type {Core | undefined} */
  #core;
  #tell;
  #taking = false;
  /** @type {Promise<void> | undefined} */
  #started;

  /** @param {(event: ClientEvent) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** @param {Core} core */
  use(core) {
    this.#core = core;
  }

  /** What the engine tells, before the application hears of it. `false`: it is not for the application.
   * @param {ClientEvent | Inner} event @returns {event is ClientEvent} */
  hears(event) {
    if (event.type === "_endAsked") {
      const known = this.#known.get(event.id);
      if (known instanceof IncomingStream) known.asked();
      else this.#asked.add(event.id);
      return false;
    }
    if (event.type === "payment" && event.payment.stream !== undefined) this.#changed(/** @type {Streamed} */ (event.payment));
    // Whoever leads now may be another tab.
    if (event.type === "connected" && this.#taking) this.#start();
    if (event.type === "connected") for (const { renewing } of this.#begun) renewing.connected();
    return true;
  }

  /** @param {Streamed} payment */
  #changed(payment) {
    const known = this.#known.get(payment.id);
    known?.follow(payment);
    if (known?.ended) this.#known.delete(payment.id);
    if (known instanceof Stream) for (const { renewing } of this.#begun) renewing.changed();
    if (payment.status !== "pending") this.#asked.delete(payment.id);
    if (known === undefined && this.#taking && payment.direction === "received") this.#take(payment);
  }

  /** @param {Streamed} payment */
  #take(payment) {
    if (this.#core === undefined || this.#known.has(payment.id) || payment.status !== "pending") return;
    let stream;
    try {
      stream = new IncomingStream(this.#core, payment, this.#core.info());
    } catch {
      // What a payer made so that nobody can follow it keeps nobody from the others; it goes back at its expiry.
      return;
    }
    this.#known.set(payment.id, stream);
    this.#tell(/** @type {ClientEvent} */ ({ type: "stream", stream }));
    if (this.#asked.delete(payment.id)) stream.asked();
  }

  /** Streams to us that are known, for a listener who comes later. @returns {import("./index.js").IncomingStream[]} */
  get incoming() {
    return /** @type {any[]} */ ([...this.#known.values()].filter((stream) => stream instanceof IncomingStream));
  }

  get #begun() {
    return [...this.#renewing.values()].filter(({ ready }) => ready);
  }

  /** Takes streams from now on. */
  listen() {
    if (this.#taking) return;
    this.#taking = true;
    this.#start();
  }

  #start() {
    this.#started ??= this.#ask().finally(() => (this.#started = undefined));
  }

  async #ask() {
    try {
      const open = await /** @type {Core} */ (this.#core).takeStreams();
      for (const payment of open) this.#take(payment);
    } catch {
      // Without the engine there is nothing to take; it is asked again when it is connected.
    }
  }

  /** @param {any} options */
  async place(options) {
    if (typeof options !== "object" || options === null || !("renew" in options)) return this.#place(options);
    const { renew, ...terms } = options;
    if (renew === undefined || renew === false) return this.#place(terms);
    const { Renewing, belowOf, randomId } = await import("./renewal.mjs");
    const below = belowOf(renew);
    if (terms.tip !== undefined) throw fault("invalid-argument", "A grant can't be renewed here: whoever has the next chain's root asks for it. Nothing was placed.");
    const known = typeof terms.id === "string";
    // As payments have it, whatever letters the application writes it in.
    const first = known ? terms.id.toLowerCase() : (terms.id ?? randomId());
    const same = this.#renewing.get(first);
    if (same !== undefined) {
      if (OF_ALL.some((name) => same.terms[name] !== terms[name])) throw fault("invalid-argument", "This id names another stream. Nothing was placed.");
      return same.begun;
    }
    const bench = {
      place: (/** @type {any} */ one) => this.#place(one),
      sent: () => /** @type {Core} */ (this.#core).payments({ direction: "sent" }),
      cancel: async (/** @type {Hex} */ id, /** @type {any} */ options) => void (await /** @type {Core} */ (this.#core).cancel({ ...options, _id: id })),
      tell: this.#tell,
      after,
      over: (/** @type {Hex} */ id) => void this.#renewing.delete(id),
    };
    const renewing = new Renewing(bench, { ...terms, id: first }, below);
    const entry = { renewing, terms, ready: false, begun: renewing.begin(terms.signal, known) };
    this.#renewing.set(first, entry);
    entry.begun.then(() => (entry.ready = true), () => this.#renewing.delete(first));
    return entry.begun;
  }

  /** @param {unknown} options @returns {Promise<Stream>} */
  async #place(options) {
    const core = /** @type {Core} */ (this.#core);
    /** @type {PlacedStream} */
    const placed = await core.stream(options);
    const known = this.#known.get(placed.payment.id);
    if (known instanceof Stream) return known;
    const stream = new Stream(core, placed, core.info());
    if (!stream.ended) this.#known.set(stream.id, stream);
    return stream;
  }

  /** All that were paid is noted, before the engine goes. */
  async settle() {
    for (const { renewing } of this.#begun) renewing.stop();
    const streams = [...this.#known.values()];
    await Promise.allSettled(streams.map((stream) => (stream instanceof Stream ? stream.saved() : stream.reveal())));
  }
}
