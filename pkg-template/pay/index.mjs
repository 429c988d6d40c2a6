// `farthing/pay`: the face for a site's page, and its service worker.
// @ts-check

/** @import { Grant, GrantAnswer, Hex, Low, Payer, PayerOptions, Spent, Terms } from "./index.js" */
/** @import { Held, State } from "./state.mjs" */

import { chainOf, keccak, streamKey } from "./chain.mjs";
import { paying } from "./fetch.mjs";
import { purseOf, tab } from "./grants.mjs";
import { indexed, ledgerOf } from "./ledger.mjs";
import { EXPIRES, MOST_UNITS, SIGNATURE, bindOf, decodeGrantAnswer, encodePayment } from "./scheme.mjs";
import { begun, forget, market, settle, spend, sum, usable } from "./state.mjs";
import { checked, fault, fields, hexOf, int, like, line, page, random } from "./wire.mjs";
import { isolated, leave, popUp, returned } from "./window.mjs";

const NAME = "farthing-pay";
/** How long a tab waits for another one that asks, milliseconds. */
const TURN = 960_000;
const WEEK = 604_800;
/** How long a site may take to say that it gives the rest back, milliseconds. */
const GIVE = 10_000;
/** A grant is low when so large a part is left, or less than one request costs. */
const LOW = 10;

const OPTIONS = { "wallet?": page, "title?": line(80), "reason?": line(120), "units?": int(1, MOST_UNITS), "expiresIn?": int(EXPIRES.least, EXPIRES.most), "perRequest?": (/** @type {any} */ most) => (typeof most === "bigint" ? most : undefined), "mode?": like(/^(popup|redirect)$/) };

/** The wallet's answer takes its place among what is held. @param {State} state @param {GrantAnswer} answer @returns {Held | undefined} */
function accept(state, { id, grant, error }) {
  const held = state.held.find((one) => one.request.id === id && !one.grant);
  if (!held) return undefined;
  state.rev += 1;
  if (!grant) {
    state.held = state.held.filter((one) => one !== held);
    throw error;
  }
  const { request } = held;
  const { tip, units, expiry } = grant;
  if (market(grant) !== market(request) || tip !== request.tip || units > request.units || grant.key !== streamKey(tip, units, expiry)) {
    throw fault("bad-answer", "The wallet granted something else. Nothing was paid.");
  }
  held.grant = grant;
  held.free = [[0, units]];
  held.at = Date.now();
  return held;
}

/** @param {PayerOptions} [options] @returns {Payer} */
export function payer(options = {}) {
  const { wallet, title, reason, units = 0, expiresIn = WEEK, perRequest, mode } = options;
  checked("invalid-argument", "payer", () => fields(options, OPTIONS, "", true));
  const ledger = ledgerOf(indexed(NAME));
  /** @type {Set<(told: Spent | Low) => unknown>} */
  const listeners = new Set();
  const others = new BroadcastChannel(NAME);
  const hear = (/** @type {Spent | Low} */ told) => {
    for (const listener of listeners) queueMicrotask(() => listener(told));
  };
  const tell = (/** @type {Spent | Low} */ told) => {
    hear(told);
    others.postMessage(told);
  };
  others.onmessage = ({ data }) => hear(data);
  // A server that renders the page is not kept alive by it.
  /** @type {any} */ (others).unref?.();

  /** @param {Terms} terms @param {Hex} [key] of a grant that does not do */
  const ask = async (terms, key) => {
    if (typeof window === "undefined") throw fault("unsupported", "There is no window to ask in. No money moved.", { terms });
    const where = wallet ?? terms.wallet;
    if (!where) throw fault("invalid-argument", "No wallet is named. No money moved.", { terms });
    await navigator.locks.request(`${NAME}/ask`, { signal: AbortSignal.timeout(TURN) }, async () => {
      const held = await ledger((state) => {
        if (usable({ held: state.held.filter(({ grant }) => grant?.key !== key) }, terms, Date.now())) return undefined;
        return begun(state, terms) ?? prepare(state, terms);
      });
      if (!held) return;
      const { request } = held;
      try {
        if (mode !== "redirect") {
          const answer = await popUp(where, request);
          await ledger((state) => accept(state, answer));
          return;
        }
      } catch (error) {
        const cut = /** @type {any} */ (error).early && mode !== "popup" && (await isolated());
        if (!cut) throw Object.assign(/** @type {any} */ (error), { terms });
      }
      await leave(where, { ...request, returnTo: location.href });
    });
  };

  /** The chain is made and kept before anybody hears of its tip. @param {State} state @param {Terms} terms */
  const prepare = (state, terms) => {
    const { payTo: payee, hub, network, contract, asset, unitPrice, units: least, minUnits } = terms;
    const wanted = Math.max(least, minUnits, units);
    const { tip, marks } = chainOf(random(32), wanted);
    const shown = title ?? ((document.title || location.hostname).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, " ").slice(0, 80));
    const request = { id: hexOf(random(16)), payee, hub, network, contract, asset, unitPrice, units: wanted, tip, expiresIn, title: shown, reason };
    /** @type {Held} */
    const held = { at: Date.now(), request, marks, market: market(terms), free: [], shown: 0 };
    state.held.push(held);
    state.rev += 1;
    return held;
  };

  // Who saw our payments can't end the grant: that takes what the ids end with the hash of.
  const newId = (/** @type {Held} */ held) => /** @type {Hex} */ (hexOf(random(6)) + hexOf(keccak((held.seal ??= random(32)))).slice(-20));

  /** @type {import("./grants.mjs").Source["spend"]} */
  const spendAndTell = (held, wanted, _, terms) => {
    const spent = spend(held, wanted);
    const grant = /** @type {Grant} */ (held.grant);
    const left = sum(held.free);
    if (!held.low && left < Math.max(grant.units / LOW, wanted.units)) {
      held.low = true;
      tell({ ...grant, left, terms });
    }
    return spent;
  };

  const purse = purseOf(ledger, tab(NAME), ask, usable, spendAndTell, settle, newId);

  /** An answer that we came back with. */
  const back = returned();
  const ready = Promise.resolve(
    back && ledger((state) => accept(state, decodeGrantAnswer(back))).then((held) => held?.grant && { grant: held.grant }, (error) => ({ error })),
  );

  const pay = paying(purse, perRequest, tell);

  /** @type {Payer["fetch"]} */
  const paidFetch = async (input, init) => {
    await ready;
    return pay(input, init);
  };

  /** The site gives back at once what is left, or says that it does not. @param {Held} held */
  const giveBack = async (held) => {
    const { grant, route, seal } = /** @type {Required<Held>} */ (held);
    const [method, url] = route.split(" ");
    const id = newId(held);
    const payment = { ...grant, payTo: grant.payee, from: 0, to: 0, word: hexOf(seal), id, bind: await bindOf(id, method, url) };
    // It goes on where the page is left.
    const { status } = await fetch(url, { method, headers: { [SIGNATURE]: encodePayment(payment) }, redirect: "error", cache: "no-store", keepalive: true, signal: AbortSignal.timeout(GIVE) });
    return status === 204;
  };

  return {
    fetch: paidFetch,
    returned: ready,
    handle(event) {
      const { request } = event;
      // What carries a payment is a page's own.
      if (!/^(GET|HEAD)$/.test(request.method) || request.headers.has(SIGNATURE)) return;
      const own = new URL(request.url).origin === location.origin;
      /** @type {RequestInit} */
      const init = request.mode === "navigate" ? {} : own ? { mode: "same-origin" } : { mode: "cors", credentials: "omit" };
      event.respondWith(
        paidFetch(request, { ...init, payment: { ask: false } }).catch((error) => error.response ?? Promise.reject(error)),
      );
    },
    on(name, listener) {
      if (!/^(spent|low)$/.test(name) || typeof listener !== "function") throw fault("invalid-argument", "on(spent|low, listener)");
      const one = (/** @type {any} */ told) => ("left" in told) === (name === "low") && listener(told);
      listeners.add(one);
      return () => void listeners.delete(one);
    },
    allow: ({ terms, key }) => ask(terms, key),
    meter: (response) => response.payment?.meter,
    async state() {
      return ledger(({ held, spends }) =>
        held.flatMap(({ grant, free }) => {
          if (!grant) return [];
          const left = sum(free);
          return [{ ...grant, left, spent: grant.unitPrice * BigInt(grant.units - left), open: spends.filter(({ key }) => key === grant.key).length, expiresAt: grant.expiry * 1000 }];
        }),
      );
    },
    async end(key) {
      const over = await ledger((state) =>
        state.held.filter(({ grant }) => {
          if (!grant || grant.key !== (key ?? grant.key)) return false;
          forget(state, grant.key);
          return true;
        }),
      );
      const given = await Promise.all(over.map((held) => giveBack(held).catch(() => false)));
      return !given.includes(false);
    },
  };
}
