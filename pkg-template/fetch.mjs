// `client.fetch`: the fetch that pays, over streams of the client's own. The budget is checked in the transaction that spends,
// and before a stream is signed; what was spent where is kept beside it, so that a process that was killed goes on with the
// same id and interval.
// @ts-check

/** @import { Budget, Spending } from "./fetch.js" */
/** @import { Client, ConnectOptions, Stream } from "./index.js" */
/** @import { Environment } from "./internal.js" */
/** @import { Grant, Hex, PaidRequestInit, PaidResponse, Spent, Terms } from "./pay/index.js" */
/** @import { Place } from "./pay/ledger.mjs" */
/** @import { Owner, Wanted } from "./pay/grants.mjs" */
/** @import { Allow, Held, Interval, State } from "./pay/state.mjs" */

import { STRIDE } from "./pay/chain.mjs";
import { paying } from "./pay/fetch.mjs";
import { purseOf, tab, unless } from "./pay/grants.mjs";
import { indexed, ledgerOf } from "./pay/ledger.mjs";
import { MOST_UNITS } from "./pay/scheme.mjs";
import { begun, empty, give, heldBy, left, market, settle, spend, strike, sum, usable } from "./pay/state.mjs";
import { bytesOf, fault, hexOf, random } from "./pay/wire.mjs";

/** @typedef {Pick<Client, "info" | "stream">} Payer */
/** @typedef {{ day: number, site: string, asset: Hex, amount: bigint, requests: number }} Entry */
/** @typedef {State & { spent?: Entry[] }} Kept */
/** @typedef {{ limit: "perRequest" | "perSite" | "perDay", allowed: bigint }} Over */

const DAY = 86_400_000;
const STREAM_SECONDS = 86_400;
/** The share of a stream's units at which the next one is placed. */
const SHARE = 1 / 4;
/** The first and the longest pause before a next one that could not be placed is tried again, milliseconds. */
const PAUSE = [1_000, 60_000];
/** Days of spending that are kept. */
const KEPT_DAYS = 400;
const STABLE = /^(DAI|USDS|USDC|USDT|USDP|PYUSD|GUSD|LUSD|FRAX|RLUSD|EURC|xDAI)$/;
/** Thousandths of a unit of a stablecoin, and of ETH the two-thousandth part of that. */
const DEFAULTS = { perRequest: 100n, perSite: 2_000n, perDay: 10_000n };
/** More than any amount. */
const ENDLESS = 1n << 256n;
const LIMITS = /** @type {const} */ (["perRequest", "perSite", "perDay"]);

const today = (/** @type {number} */ at) => Math.floor(at / DAY);

/** Where the engine's owner keeps what was spent, in a {@link Store}. @param {import("./index.js").Store} store @returns {Place} */
export function stored(store) {
  const key = "fetch/state";
  /** @type {Kept | undefined} */
  let state;
  return async (work) => {
    if (!state) {
      const [entry] = await store.load(key);
      state = entry ? parse(entry[1]) : empty();
      if (state?.v !== 1) throw new Error("a newer version has been here");
      if (![state.held, state.spends, state.routes, state.spent ?? []].every(Array.isArray) || !Number.isSafeInteger(state.rev)) throw new Error("the record is damaged");
    }
    try {
      const { rev } = state;
      work(state);
      if (state.rev !== rev) await store.commit([[key, new TextEncoder().encode(JSON.stringify(state, plain))]]);
    } catch (error) {
      // What is in memory is not on the disk.
      state = undefined;
      throw error;
    }
  };
}

/** @param {string} _ @param {unknown} value */
const plain = (_, value) => (typeof value === "bigint" ? { $n: String(value) } : value instanceof Uint8Array ? { $b: hexOf(value) } : value);
/** @param {Uint8Array} bytes @returns {Kept} */
const parse = (bytes) => JSON.parse(new TextDecoder().decode(bytes), (_, value) => (typeof value?.$n === "string" ? BigInt(value.$n) : typeof value?.$b === "string" ? bytesOf(value.$b) : value));

/**
 * For a client of `connect`: keeps its book where the application says, or beside the client's own store. @param {Payer} client
 * @param {Pick<ConnectOptions, "store" | "budget" | "spending">} options @param {Environment} environment
 */
export async function attach(client, { store, budget, spending = typeof store === "string" ? (store === "memory" ? store : `${store}.fetch`) : undefined }, { openStore }) {
  const { chainId, address, hub } = client.info;
  const name = `fetch-${chainId}-${address.slice(2)}-${hub.owner.slice(2)}`.toLowerCase();
  if (spending === "memory") return { ...fetching(client, { place: forgetful(), budget }), async close() {} };
  if (typeof spending !== "object" && !openStore) return { ...fetching(client, { ...shared(`farthing-${name}`), budget }), async close() {} };
  const opened = typeof spending === "object" ? spending : await /** @type {NonNullable<Environment["openStore"]>} */ (openStore)(name, spending);
  const own = fetching(client, { place: stored(opened), budget });
  return {
    ...own,
    async close() {
      // What was settled a moment ago is still to be written.
      await own.spending().catch(() => {});
      if (opened !== spending) await opened.close();
    },
  };
}

/** For who keeps nothing. @returns {Place} */
export function forgetful() {
  const state = empty();
  return async (work) => work(state);
}

/** Every tab of a browser has the same. @param {string} name */
export const shared = (name) => ({ place: indexed(name), owner: tab(name) });

/** One process has the place for itself: whoever else left something there is gone. @returns {Owner} */
const alone = () => ({ name: hexOf(random(8)), living: async () => () => false });

/** Refuses what is no budget. @param {unknown} given @returns {Budget} */
export function checkedBudget(given = {}) {
  const bad = (/** @type {string} */ what) => fault("invalid-argument", `${what} Nothing was paid.`);
  if (typeof given !== "object" || given === null) throw bad("A budget is an object.");
  for (const [name, value] of Object.entries(given)) {
    if (name === "ask" ? typeof value !== "function" : !LIMITS.includes(/** @type {any} */ (name))) throw bad(`The budget's ${name} is not known: there are perRequest, perSite, perDay and ask, a function.`);
    if (name === "ask") continue;
    const amounts = typeof value === "object" && value !== null ? Object.values(value) : [value];
    if (!amounts.every((amount) => typeof amount === "bigint" && amount >= 0n)) throw bad(`The budget's ${name} is a bigint of base units, or one for each asset.`);
  }
  return given;
}

/** The limits, of one asset. */
class Limits {
  #budget;
  #client;

  /** @param {Budget} budget @param {Payer} client */
  constructor(budget, client) {
    this.#budget = budget;
    this.#client = client;
  }

  /** What the hub calls it: a server's word for it decides nothing. @param {string} token */
  asset = (token) => this.#client.info.hub.assets.find((one) => one.token.toLowerCase() === token);

  /** @param {"perRequest" | "perSite" | "perDay"} name @param {string} token */
  of(name, token) {
    const { asset = "", decimals = 0 } = this.asset(token) ?? {};
    const given = this.#budget[name];
    if (typeof given === "bigint") return given;
    const own = Object.entries(given ?? {}).find(([key]) => key === asset || key.toLowerCase() === token);
    if (own) return own[1];
    // An asset that nobody set a limit for, and whose worth is not known, is not spent unasked.
    const part = STABLE.test(asset) ? 1_000n : asset === "ETH" || asset === "WETH" ? 2_000_000n : undefined;
    return part === undefined ? 0n : (DEFAULTS[name] * 10n ** BigInt(decimals)) / part;
  }

  /** What is left to spend for a site today. @param {Kept} state @param {string} site @param {Hex} token @param {number} now */
  left({ spent = [] }, site, token, now) {
    const recent = spent.filter(({ day, asset }) => day === today(now) && asset === token);
    const sum = (/** @type {Entry[]} */ entries) => entries.reduce((all, { amount }) => all + amount, 0n);
    return { perSite: this.of("perSite", token) - sum(recent.filter((entry) => entry.site === site)), perDay: this.of("perDay", token) - sum(recent) };
  }

  /** The first limit that so much would break. @param {Kept} state @param {string} site @param {Hex} token @param {bigint} amount @param {number} now @param {bigint} [whole] what one request shows in all @returns {Over | undefined} */
  over(state, site, token, amount, now, whole = amount) {
    const left = { perRequest: this.of("perRequest", token), ...this.left(state, site, token, now) };
    const limit = LIMITS.find((name) => (name === "perRequest" ? whole : amount) > left[name]);
    return limit && { limit, allowed: left[limit] > 0n ? left[limit] : 0n };
  }
}

class OverLimit extends Error {}

/**
 * The fetch and the book of a client. @param {Payer} client
 * @param {{ place: Place, owner?: Owner, budget?: unknown, tell?(spent: Spent): void }} options
 */
export function fetching(client, { place, owner = alone(), budget: given, tell = () => {} }) {
  const budget = checkedBudget(given);
  const limits = new Limits(budget, client);
  const ledger = ledgerOf(place);
  /** Open ones, by id. @type {Map<Hex, Stream>} */
  const streams = new Map();
  /** Of each call what it has shown for the first time, how much the application let it pay beyond the budget, and what is to be
   * done once its spend is durable. @typedef {{ shown: bigint, passed: bigint, job?: ((terms: Terms) => void) | undefined }} Call */
  /** They go with their calls. @type {WeakMap<Allow, Call>} */
  const calls = new WeakMap();
  /** Where the next stream could not be placed. @type {Map<string, { times: number, until: number }>} */
  const resting = new Map();
  /** Those that are asked for while there is one to pay by. @type {Set<string>} */
  const early = new Set();
  /** @param {Allow} allow which a call has for all that it takes @returns {Call} */
  const callOf = (allow) => {
    const call = calls.get(allow) ?? { shown: 0n, passed: 0n };
    calls.set(allow, call);
    return call;
  };

  /** Asks the application, or refuses. @param {Over} over @param {{ site: string, asset: Hex, amount: bigint, call: Call }} what */
  const askFor = async ({ limit, allowed }, { site, asset, amount, call }) => {
    const symbol = limits.asset(asset)?.asset ?? asset;
    const say = { limit, allowed, site, token: asset, asset: symbol, amount };
    if ((await budget.ask?.(say)) !== true) {
      throw fault("over-limit", `${site} costs ${amount} base units of ${symbol}, and the budget's ${limit} leaves ${allowed}. Nothing was paid: raise it, or answer in the budget's ask.`);
    }
    call.passed = amount;
  };

  /** @param {Held} held @returns {Promise<Stream>} */
  const open = async ({ request: { id, payee: to, asset, unitPrice, units, expiresIn } }) => {
    const stream = await client.stream({ id, to, asset, unitPrice, units, expiresIn, condition: "hash-chain" });
    streams.set(id, stream);
    return stream;
  };

  /** Those of an earlier process. One that can't be had now is not spent from now. */
  const catchUp = async () => {
    const closed = await ledger(({ held }) => held.filter(({ grant, request }) => grant && !streams.has(request.id)));
    await Promise.all(closed.map((held) => open(held).catch(() => {})));
  };

  /** Whether it is by way of our hub. @param {Terms} terms */
  const payable = (terms) => {
    const { chainId, contract, hub } = client.info;
    return terms.network === `eip155:${chainId}` && terms.contract === contract.toLowerCase() && new URL(terms.hub).origin === new URL(hub.url).origin;
  };

  /** The asset that a site wants, or why it can't be had from us. @param {Terms} terms */
  const assetOf = (terms) => {
    const { chainId, hub } = client.info;
    const { site } = terms;
    if (!payable(terms)) {
      throw fault("other-hub", `${site} is paid by way of ${terms.hub} on ${terms.network}, and this client has a channel with ${hub.url} on eip155:${chainId}. Nothing was paid.`, { terms });
    }
    const asset = limits.asset(terms.asset);
    if (!asset) throw fault("other-hub", `${site} wants an asset that ${hub.url} does not list. Nothing was paid.`, { terms });
    return asset;
  };

  /** Makes the word of a place known. @param {Held} held @param {number} to */
  const reach = ({ marks, request: { id } }, to) => {
    const last = marks.at(-1)?.[0] ?? 0;
    if (last >= to) return;
    const stream = /** @type {Stream} */ (streams.get(id));
    // The stream may be ahead of what we know: then its next word leads to ours.
    const paid = stream.pay(Math.max(1, to - stream.paid));
    // A mark leads to all below it. All of them would be written with every payment.
    if (marks.length > 0 && paid.to - (marks.at(-2)?.[0] ?? 0) <= STRIDE) marks.pop();
    marks.push([paid.to, bytesOf(paid.word)]);
  };

  /** Whoever has the words of these can take their money, whatever it said of the charge: they are spent. @param {Kept} state @param {Held} held @param {readonly Interval[]} spans @param {number} now */
  const count = (state, { grant, request: { title: site }, free }, spans, now) => {
    const rest = free.map(([from, to]) => /** @type {Interval} */ ([from, to]));
    for (const [from, to] of spans) strike(rest, from, to);
    const units = sum(free) - sum(rest);
    if (grant && units > 0) entryOf(state, now, grant.asset, site).amount += grant.unitPrice * BigInt(units);
  };

  /** Nothing more is paid by it. What was shown and put back is shown by no later payment, so that it counts now. @param {Kept} state @param {Held} held @param {number} now */
  const close = (state, held, now) => {
    count(state, held, [[0, held.shown]], now);
    held.free = [];
    state.rev += 1;
  };

  /** Whether a stream's successor is to be placed now, and what can be left behind. @param {Held} held @param {number} units @param {State} state */
  const afterwards = (held, units, state) => {
    const now = Date.now();
    const where = held.market;
    const low = left(state, held.market, now) <= Math.max(units, SHARE * held.request.units) && !((resting.get(where)?.until ?? 0) > now);
    // Less than a request costs comes back, once nothing of it is open.
    const passed = state.held
      .slice(0, state.held.indexOf(held))
      .filter(({ grant, free, market }) => grant && market === where && free.length > 0 && !free.some(([from, to]) => to - from >= units) && !state.spends.some(({ key }) => key === grant.key));
    for (const one of passed) close(state, one, now);
    return (/** @type {Terms} */ terms) => {
      for (const { request } of passed) void streams.get(request.id)?.end().catch(() => {});
      if (low) void purse.ahead(terms);
    };
  };

  /** @type {import("./pay/grants.mjs").Source} */
  const source = {
    owner,
    // Its streams are asked back by way of the hub.
    newId: () => hexOf(random(16)),
    /** @param {{ held: Held[] }} state @param {Terms} terms @param {number} now */
    usable: ({ held }, terms, now) => {
      const open = held.filter(({ marks, request: { id, units } }) => {
        const stream = streams.get(id);
        return stream !== undefined && !stream.ended && stream.revealBy > now && (stream.remaining > 0 || marks.at(-1)?.[0] === units);
      });
      return usable({ held: open }, terms, now);
    },
    spend(held, { site, ...wanted }, /** @type {Kept} */ state) {
      const { asset, unitPrice } = /** @type {Grant} */ (held.grant);
      const amount = unitPrice * BigInt(wanted.units);
      const call = callOf(wanted.allow);
      let fresh = 0n;
      const taken = spend(held, {
        ...wanted,
        // All that this request has shown may be taken for it, whatever was refused.
        allow(more, price) {
          fresh = more;
          const whole = call.shown + more > price ? call.shown + more : price;
          const over = limits.over(state, site, asset, price, wanted.at, whole);
          if (over && call.passed < whole) throw Object.assign(new OverLimit(), { over, what: { site, asset, amount: over.limit === "perRequest" ? whole : price, call } });
          wanted.allow(more, price);
        },
      });
      try {
        reach(held, taken.to);
      } catch (error) {
        give(held.free, taken.from, taken.to);
        throw error;
      }
      call.shown += fresh;
      const entry = entryOf(state, wanted.at, asset, site);
      entry.amount += amount;
      entry.requests += 1;
      call.job = afterwards(held, wanted.units, state);
      return Object.assign(taken, { site });
    },
    settle(/** @type {Kept} */ state, id, charged) {
      const taken = state.spends.find((one) => one.id === id);
      const { grant } = heldBy(state, taken?.key) ?? {};
      if (taken && grant) {
        const entry = entryOf(state, taken.at, grant.asset, /** @type {any} */ (taken).site);
        entry.amount -= grant.unitPrice * BigInt(taken.to - taken.from - charged);
        if (charged === 0) entry.requests -= 1;
      }
      settle(state, id, charged);
    },
    before(state, now) {
      for (const held of state.held) {
        const over = held.grant && (streams.get(held.request.id)?.ended || held.grant.expiry * 1000 <= now);
        if (over && held.free.length > 0) close(state, held, now);
      }
    },
    lost(state, key, spans) {
      const held = heldBy(state, key);
      if (held) count(state, held, spans ?? [[0, held.shown]], Date.now());
    },
    async obtain(terms) {
      const site = /** @type {string} */ (terms.site);
      const asset = assetOf(terms);
      const what = market(terms);
      const ahead = early.has(what);
      if (ahead && (await ledger((state) => limits.over(state, site, terms.asset, terms.amount, Date.now())))) return;
      const held = await ledger((/** @type {Kept} */ state) => {
        const now = Date.now();
        if (!ahead && source.usable(state, terms, now)) return undefined;
        const asked = begun(state, terms);
        if (asked) return asked;
        // Not more than the site may get today, so that a stream binds no money that can't be spent.
        const { perSite, perDay } = limits.left(state, site, terms.asset, now);
        const most = Number((perSite < perDay ? perSite : perDay) / terms.unitPrice) - (ahead ? left(state, what, now) : 0);
        // One that is not begun is enough, whatever there is to say against it.
        const waits = state.held.some(({ grant, shown, request, market }) => grant && shown === 0 && market === what && grant.expiry * 1000 > now && !streams.get(request.id)?.ended);
        if (ahead && (waits || most < terms.units)) return undefined;
        const units = Math.min(MOST_UNITS, Math.max(terms.units, Math.min(terms.minUnits, most)));
        const { payTo: payee, hub, network, asset, unitPrice } = terms;
        const request = { id: hexOf(random(16)), payee, hub, network, contract: terms.contract, asset, unitPrice, units, tip: /** @type {Hex} */ ("0x"), expiresIn: STREAM_SECONDS, title: site };
        /** @type {Held} */
        const made = { at: now, request, marks: [], market: what, free: [], shown: 0 };
        state.held.push(made);
        state.rev += 1;
        return made;
      });
      if (!held) return;
      const { id, payee, network, contract: where, asset: token, unitPrice, units, tip } = held.request;
      const stream = await open(held);
      const grant = { key: stream.key, tip, payee, network, contract: where, hub: terms.hub, asset: token, unitPrice, units, expiry: Math.floor(stream.revealBy / 1000), symbol: asset.asset, decimals: asset.decimals };
      await ledger((state) => {
        const held = state.held.find(({ request }) => request.id === id);
        if (!held || held.grant) return;
        Object.assign(held, { grant, free: [[0, units]], at: Date.now() });
        state.rev += 1;
      });
    },
  };

  const plainPurse = purseOf(ledger, source.owner, source.obtain, source.usable, source.spend, source.settle, source.newId, source.before, source.lost);
  const purse = {
    ...plainPurse,
    /** The next stream, while there is one to pay by. Who needs it meanwhile waits for the same. @param {Terms} terms */
    async ahead(terms) {
      const what = market(terms);
      early.add(what);
      try {
        await plainPurse.obtain(terms, {});
        resting.delete(what);
      } catch {
        // Whoever needs it is told; here it is tried again with the requests to come.
        const times = resting.get(what)?.times ?? 0;
        resting.set(what, { times: times + 1, until: Date.now() + Math.min(PAUSE[0] * 2 ** times, PAUSE[1]) });
      } finally {
        early.delete(what);
      }
    },
    // Of what a site takes the first that this client can pay.
    /** @param {Terms[]} all @param {Terms} [last] */
    pick: (all, last) => plainPurse.pick(last ? all : [...all.filter(payable), ...all], last),
    /** What goes beyond the budget is asked for before anything is signed. @param {Terms} terms @param {Wanted} wanted */
    async obtain(terms, wanted) {
      const { asset, amount, site = "" } = terms;
      assetOf(terms);
      const call = callOf(wanted.allow);
      const over = await ledger((state) => limits.over(state, site, asset, amount, Date.now()));
      if (over && call.passed < amount) await unless(askFor(over, { site, asset, amount, call }), wanted.signal);
      return plainPurse.obtain(terms, wanted);
    },
    async take(/** @type {Wanted} */ wanted) {
      await catchUp();
      const take = async () => {
        // What is not stored has no afterwards; who needs the next one waits for it.
        callOf(wanted.allow).job = undefined;
        const paid = await plainPurse.take(wanted);
        if (paid) callOf(wanted.allow).job?.(paid.terms);
        return paid;
      };
      for (;;) {
        try {
          return await take();
        } catch (error) {
          if (!(error instanceof OverLimit)) throw error;
          const { over, what } = /** @type {any} */ (error);
          await unless(askFor(over, what), wanted.signal);
        }
      }
    },
  };
  // What a request may show is the budget's to say.
  const pay = paying(purse, ENDLESS, tell);

  return {
    /** @param {RequestInfo | URL} input @param {PaidRequestInit} [init] @returns {Promise<PaidResponse>} */
    fetch: (input, init) => pay(input, init),
    /** @returns {Promise<Spending[]>} */
    spending: () =>
      ledger((/** @type {Kept} */ { spent = [] }) =>
        spent
          .map(({ day, site, asset: token, amount, requests }) => ({ site, token, asset: limits.asset(token)?.asset ?? token, day: new Date(day * DAY).toISOString().slice(0, 10), amount, requests }))
          .sort((a, b) => (a.day < b.day ? 1 : a.day > b.day ? -1 : a.site < b.site ? -1 : 1)),
      ),
  };
}

/** @param {Kept} state @param {number} at @param {Hex} asset @param {string} site @returns {Entry} */
function entryOf(state, at, asset, site) {
  const day = today(at);
  state.spent ??= [];
  let entry = state.spent.find((one) => one.day === day && one.site === site && one.asset === asset);
  if (!entry) {
    entry = { day, site, asset, amount: 0n, requests: 0 };
    state.spent = [...state.spent.filter((one) => one.day > day - KEPT_DAYS), entry];
  }
  return entry;
}
