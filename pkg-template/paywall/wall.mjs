// The paywall of one process: it judges what comes in, sells each unit once, and says what was charged. Entry: `paywall()`.
// @ts-check

/** @import { Handler, PaywallOptions, ProblemCode, RouteOptions } from "./index.js" */
/** @import { Asked, Entry, Payment, Quote, Ready, Record, Signer, Site, Stream } from "./internal.js" */

import { hash } from "node:crypto";
import { RESPONSE, SESSION, SIGNATURE, decodeSession, resourceOf } from "../pay/scheme.mjs";
import { unpack } from "../pay/wire.mjs";
import { keccak } from "./keccak.mjs";
import { express } from "./adapters/express.mjs";
import { hono } from "./adapters/hono.mjs";
import { next } from "./adapters/next.mjs";
import { readSettings } from "./settings.mjs";
import { checkRoute, positive, priced } from "./price.mjs";
import { PaywallError, invalid } from "./problem.mjs";
import { Proofs } from "./proofs.mjs";
import { readHeader } from "./read.mjs";
import { Signing } from "./receipt.mjs";
import { recoverer } from "./recover.mjs";
import { refuse } from "./refuse.mjs";
import { Sale } from "./sale.mjs";
import { serve } from "./serve.mjs";
import { examine, examineEnd } from "./spend.mjs";
import { openTill } from "./till.mjs";

/** Milliseconds for which what the till wrote is believed, and after which a site that is not known is asked for again. */
const FRESH = 30_000;
const SOON = 500;

/** A stream that was just granted may be a moment behind its first payment: it is waited for, by so many requests at once. */
const WAITS = [20, 50, 100, 200, 400, 800];
const WAITERS = 256;

/** Paths and queries that a URL leaves as they are. */
const PLAIN = /^\/(?!\/)[\w~\-./]*(?:\?[\w.~=&-]*)?$/;

/** Letters of an id that a page's seal vouches for. */
const TAIL = 20;

/** Streams whose terms are remembered. */
const STREAMS = 8_192;

/** Milliseconds after which a settlement that failed is tried again. */
const AGAIN = [50, 250, 1_000];

/** Opens a site's paywall. @param {PaywallOptions} options */
export async function paywall(options) {
  const settings = readSettings(options);
  const wall = new Wall(settings);
  await wall.begin(options.client);
  return wall;
}

export class Wall {
  settings;
  ledger;
  /** What the store says of the site. @type {Site | undefined} */
  known;
  /** Metered answers of this process, by their id. @type {Map<string, Sale>} */
  sessions = new Map();
  /** @type {import("./till.mjs").Till | undefined} */
  till;
  #proofs;
  /** @type {Map<string, Stream>} */
  #streams = new Map();
  #waiters = 0;
  /** @type {Signing | undefined} */
  #signer;
  #asked = 0;
  /** @type {Promise<void> | undefined} */
  #asking;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #sweep;

  /** @param {ReturnType<typeof readSettings>} settings */
  constructor(settings) {
    this.settings = settings;
    this.ledger = settings.store;
    this.known = settings.site;
    const { recover } = settings;
    this.#proofs = new Proofs(recover === undefined ? recoverer : async () => recover);
  }

  /** @param {PaywallOptions["client"]} client */
  async begin(client) {
    if (client !== undefined) this.till = await openTill({ client: /** @type {any} */ (client), store: this.ledger, idle: this.settings.idle, margin: this.settings.margin, onError: this.settings.onError });
    this.#sweep = setInterval(() => void this.#purge(), 60_000);
    this.#sweep.unref();
  }

  /** A route with its price. @param {RouteOptions} options */
  route(options) {
    return new Route(this, checkRoute(options));
  }

  /** Lets the store go, and the till. Requests that are being served go on until they are settled. */
  async close() {
    clearInterval(this.#sweep);
    await this.till?.close();
    await this.ledger.end();
    this.#signer?.end();
  }

  /** Judges a request. @param {Route} route @param {Asked} asked @returns {Promise<Entry>} */
  async enter(route, asked) {
    if (asked.method === "OPTIONS") return { free: true, secret: false };
    const header = asked.header(SIGNATURE);
    const { payment, end } = header === null ? {} : readHeader(header);
    // Before a route says whether it is free: no handler ever sees one.
    if (end !== undefined) return { ready: await this.#ends(route, asked, end) };
    if (route.free !== undefined && (await route.free(asked.request))) return { free: true, secret: true };
    const quote = await route.quote(asked);
    if (quote.amount === 0n) return { free: true, secret: false };
    try {
      return await this.#paid(route, asked, quote, header, payment);
    } catch (error) {
      this.settings.onError(error);
      return { ready: await refuse(this, route, asked, quote, "paywall-unavailable") };
    }
  }

  /** @param {Route} route @param {Asked} asked @param {Quote} quote @param {string | null} header @param {Payment} [payment] what it says, if it can be read @returns {Promise<Entry>} */
  async #paid(route, asked, quote, header, payment) {
    /** @param {ProblemCode} code @param {Stream} [stream] */
    const no = async (code, stream) => ({ ready: await refuse(this, route, asked, quote, code, stream) });
    const site = await this.site();
    if (site === undefined) return no("paywall-unavailable");
    const { token } = this.assetOf(site, route);
    const opened = asked.header(SESSION);
    if (header === null && opened === null) return no("payment-required");
    if (header !== null && opened === null) {
      const passed = await route.otherwise(asked, header);
      if (passed !== undefined) return passed;
    }
    let session;
    try {
      session = opened === null ? null : decodeSession(opened);
    } catch {
      return no("bad-payment");
    }
    if (header !== null && payment === undefined) return no("bad-payment");
    /** @type {Record | undefined} */
    let opening;
    if (session !== null) {
      const named = (await this.ledger.rows.session(session)).find(({ id }) => id === session);
      if (named === undefined) return no("session-ended");
      if (asked.method !== "POST" || named.url !== asked.url) return no("wrong-resource");
      if (payment === undefined) return { ready: await this.#tells(named) };
      opening = named;
    }
    if (payment === undefined) return no("bad-payment");
    const stream = await this.streamOf(payment.key, true);
    await this.#proofs.ready(stream);
    const bind = bindOf(payment.id, asked.method, asked.url);
    const code = examine(payment, { site, token, bind, stream, proves: (each, to, word) => this.#proofs.prove(site, each, to, word) });
    if (code !== undefined || stream === undefined) return no(code ?? "unknown-stream", stream);
    const { key, id, from, to, word } = payment;
    const claim = { key, id, from, to, bind, session, route: route.name, method: asked.method, url: asked.url, amount: session === null ? quote.amount : 1n };
    const { margin, again } = this.settings;
    const outcome = await this.ledger.spend({ claim, word, margin, again, ...(opening && { opening: { key: opening.key, id: opening.id } }) });
    if (outcome.step === "refused") return no(outcome.code, stream);
    if (outcome.step === "joined") {
      await this.sessions.get(session ?? "")?.joined(outcome.record);
      return { ready: await this.#tells(outcome.record) };
    }
    if (outcome.step === "again") {
      const kept = await this.ledger.rows.answer(key, id);
      if (kept !== undefined) return { ready: { ...kept, headers: [...kept.headers, [RESPONSE, this.answerFor(stream, outcome.record, false)]] } };
    }
    if (outcome.step !== "serve" && outcome.step !== "again") throw new PaywallError("storage-failed", "The store gave no verdict.");
    const sale = new Sale(this, route, stream, outcome.record, quote, outcome.step === "again");
    if (sale.meter !== undefined) {
      this.sessions.set(id, sale);
      if (outcome.record.attempt > 1) for (const record of await this.ledger.rows.session(id)) await sale.joined(record);
    } else await sale.sign();
    return { sale };
  }

  /** A payer that has no channel wants the rest back: nobody sells by the stream from here on, and the till gives it up. @param {Route} route @param {Asked} asked @param {Payment} end @returns {Promise<Ready>} */
  async #ends(route, asked, end) {
    try {
      const site = await this.site();
      const stream = site && (await this.streamOf(end.key, true));
      const made = stream && (await this.ledger.rows.made(end.key, tailOf(end.word)));
      const code = site === undefined ? "paywall-unavailable" : examineEnd(end, { site, bind: bindOf(end.id, asked.method, asked.url), stream, tail: tailOf(end.word), made: made === true });
      if (code !== undefined) return refuse(this, route, asked, undefined, code);
      await this.ledger.rows.endStream(end.key, Date.now());
      this.till?.ends(end.key);
      return { status: 204, headers: [], body: null };
    } catch (error) {
      this.settings.onError(error);
      return refuse(this, route, asked, undefined, "paywall-unavailable");
    }
  }

  /** The answer to a side request: what became of an interval, or that it is being used. @param {Record} record @returns {Promise<Ready>} */
  async #tells(record) {
    const stream = await this.streamOf(record.key);
    if (stream === undefined) throw new PaywallError("storage-failed", "An interval without its stream.");
    return { status: 204, headers: [[RESPONSE, this.answerFor(stream, record, record.state === "serving")]], body: null };
  }

  /** `PAYMENT-RESPONSE`. @param {Stream} stream @param {Record} record @param {boolean} metered @param {string} [signed] its receipt, where it was signed before */
  answerFor(stream, record, metered, signed) {
    const site = /** @type {Site} */ (this.known);
    const { key, id, from, to, charged } = record;
    const units = metered ? to - from : charged;
    const receipt = metered ? undefined : (signed ?? this.#signer?.now(site, stream, record));
    const amount = BigInt(units) * BigInt(stream.unitPrice);
    const told = `${metered ? '"metered":true' : `"charged":${charged}`}${receipt === undefined ? "" : `,"receipt":${receipt}`}`;
    // Made of what was checked already, for every paid answer: not read again, as the codec does with what it writes.
    const text = `{"success":true,"network":"${site.network}","transaction":"","payer":"","amount":"${amount}","extra":{"key":"${key}","id":"${id}","from":${from},"to":${to},${told}}}`;
    return Buffer.from(text).toString("base64");
  }

  /** The receipt that a sale will have, before its handler runs; none where nobody signs, or it fails (then it is tried again when it is told). @param {Stream} stream @param {Record} record @returns {Promise<string | undefined>} */
  async sign(stream, record) {
    return this.#signer?.soon(/** @type {Site} */ (this.known), stream, record).catch((error) => void this.settings.onError(error));
  }

  /** @param {Site} site @param {Route} route */
  assetOf(site, route) {
    const wanted = route.asset.toLowerCase();
    const found = site.assets.find(({ symbol, token }) => symbol.toLowerCase() === wanted || token === wanted);
    if (found === undefined) throw invalid(`The hub has no asset ${route.asset}; it has ${site.assets.map(({ symbol }) => symbol).join(", ")}.`);
    return found;
  }

  /** What a route costs, as a payer reads it. @param {Site} site @param {Route} route @param {Quote} quote */
  termsOf(site, route, { amount, units, rate }) {
    const { symbol, decimals, token } = this.assetOf(site, route);
    return {
      network: site.network, asset: token, amount, payTo: site.payTo, maxTimeoutSeconds: route.maxTimeoutSeconds,
      hub: site.hub, contract: site.contract, unitPrice: route.unitPrice, units, minUnits: Math.max(route.minUnits, units), symbol, decimals,
      ...(this.settings.wallet && { wallet: this.settings.wallet }),
      ...(rate && { metered: rate.per === "use" ? { per: "use" } : { per: rate.per, price: rate.price } }),
    };
  }

  /** What the till says of the site; waits for it once, and looks again at times. */
  async site() {
    const age = Date.now() - this.#asked;
    if (age > (this.known === undefined ? SOON : FRESH)) {
      this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
      // Who knows an older one does not wait for the newer.
      if (this.known === undefined || this.#asked === 0) await this.#asking;
      else this.#asking.catch(this.settings.onError);
    }
    return this.known;
  }

  async #ask() {
    const [site, signer] = await Promise.all([this.ledger.rows.fact("site"), this.ledger.rows.fact("signer")]);
    this.#asked = Date.now();
    if (this.settings.site === undefined && site !== undefined) this.known = JSON.parse(site);
    if (signer === undefined) return;
    /** @type {Signer} */
    const read = JSON.parse(signer);
    if (read.signature === this.#signer?.signer.signature) return;
    this.#signer?.end();
    this.#signer = new Signing(read);
  }

  /** A stream's terms. They never change, so they are remembered. @param {string} key @param {boolean} [wait] for one that may be a moment late */
  async streamOf(key, wait = false) {
    const known = this.#streams.get(key);
    if (known !== undefined) return known;
    let found = await this.ledger.rows.stream(key);
    if (found === undefined && wait && this.#waiters < WAITERS) {
      this.#waiters += 1;
      try {
        for (const pause of WAITS) {
          await new Promise((resolve) => setTimeout(resolve, pause));
          found = await this.ledger.rows.stream(key);
          if (found !== undefined) break;
        }
      } finally {
        this.#waiters -= 1;
      }
    }
    if (found === undefined) return undefined;
    this.#streams.set(key, found);
    if (this.#streams.size > STREAMS) this.#streams.delete(/** @type {string} */ (this.#streams.keys().next().value));
    return found;
  }

  /** Tries again what the store could not write. What stays unwritten is open: the same id goes on with it. @template Value @param {() => Promise<Value>} write */
  async persist(write) {
    for (const pause of AGAIN) {
      try {
        return await write();
      } catch (error) {
        this.settings.onError(error);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
    return write();
  }

  async #purge() {
    const { keep } = this.settings;
    const now = Date.now();
    await this.ledger.rows.purge({ answersBefore: now - keep.seconds * 1_000, answerBytes: keep.total, recordsBefore: now - this.settings.records }).catch(this.settings.onError);
  }
}

/** Ties an interval to its request, as the codec's `bindOf` does, at once. @param {string} id @param {string} method in upper case @param {string} url as `urlOf` gives it */
const bindOf = (id, method, url) => `0x${hash("sha256", Buffer.concat([Buffer.from(id.slice(2), "hex"), Buffer.from(`${method} ${url}`)]))}`;

/** How the ids of payments end that were made by who has this seal. @param {string} seal */
const tailOf = (seal) => Buffer.from(keccak(Buffer.from(seal.slice(2), "hex"))).toString("hex").slice(-TAIL);

/** A priced route, in each framework's own form. */
export class Route {
  name;
  asset;
  unitPrice;
  minUnits;
  margin;
  description;
  mimeType;
  maxTimeoutSeconds;
  keep;
  free;
  quote;
  rate;
  wall;
  #others;

  /** @param {Wall} wall @param {RouteOptions} options */
  constructor(wall, options) {
    const { settings } = wall;
    this.wall = wall;
    this.unitPrice = positive(options.unitPrice ?? settings.unitPrice, "unitPrice");
    this.asset = options.asset ?? settings.asset;
    this.quote = priced(options.price, this.unitPrice, options.first);
    const metered = typeof options.price === "object";
    const first = options.first ?? 10;
    this.rate = metered ? (/** @type {any} */ (options.price).used ? "use" : "meter") : undefined;
    this.minUnits = options.minUnits ?? settings.minUnits;
    this.margin = BigInt(options.margin ?? Math.max(1, Math.ceil(first / 3)));
    this.name = options.name ?? options.description ?? "route";
    this.description = options.description;
    this.mimeType = options.mimeType;
    this.maxTimeoutSeconds = options.maxTimeoutSeconds ?? 60;
    this.keep = options.keep;
    this.free = options.free;
    this.#others = options.others ?? settings.others;
  }

  /** A `Request` gives a `Response`. @param {Request} request @param {Handler} handler */
  handle(request, handler) {
    return serve(this, request, handler);
  }

  /** Middleware of Express, or of anything with `(req, res, next)`. */
  express() {
    return express(this);
  }

  /** Middleware of Hono. */
  hono() {
    return hono(this);
  }

  /** A route handler of Next: `export const GET = route.next(handler)`. @template {unknown[]} Rest @param {(request: Request, ...rest: Rest) => Response | Promise<Response>} handler */
  next(handler) {
    return next(this, handler);
  }

  /** The URL as the payer knows it: the site's origin is configured, never the `Host` header's. @param {string} target path and query, or a whole URL */
  urlOf(target) {
    // As `resourceOf` has them already: nothing is escaped, and no step leads up.
    if (PLAIN.test(target) && !target.includes("/.")) return this.wall.settings.origin + target;
    const path = target.startsWith("/") ? target : URL.canParse(target) ? target.replace(/^[a-z]+:\/\/[^/?#]*/i, "") : "/";
    return resourceOf(`${this.wall.settings.origin}${path.startsWith("/") ? path : `/${path}`}`);
  }

  /** Other schemes' entries of `accepts`. @param {Asked} asked */
  async offers(asked) {
    const offers = await Promise.all(this.#others.map(({ offer }) => (typeof offer === "function" ? offer(asked.request) : offer)));
    return offers.filter((offer) => offer !== undefined && offer !== null);
  }

  /** A payment of another scheme goes to who knows it. @param {Asked} asked @param {string} header @returns {Promise<Entry | undefined>} */
  async otherwise(asked, header) {
    if (this.#others.length === 0) return undefined;
    let value;
    try {
      value = unpack(header, 16_384);
    } catch {
      return undefined;
    }
    const scheme = value?.accepted?.scheme;
    const other = this.#others.find((each) => each.scheme === scheme);
    if (other === undefined) return undefined;
    const taken = await other.take(asked.request, value);
    return taken.paid ? { free: true, secret: true, headers: Object.entries(taken.headers ?? {}) } : { ready: await refuse(this.wall, this, asked, await this.quote(asked), "payment-required") };
  }
}

