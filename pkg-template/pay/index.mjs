// `farthing/pay`: the face for a site's page, and its service worker.
// @ts-check

/** @import { GrantAnswer, Payer, PayerOptions, Spent, Terms } from "./index.js" */
/** @import { Held, State } from "./state.mjs" */

import { chainOf, streamKey } from "./chain.mjs";
import { paying } from "./fetch.mjs";
import { purseOf, tab } from "./grants.mjs";
import { indexed, ledgerOf } from "./ledger.mjs";
import { EXPIRES, MOST_UNITS, decodeGrantAnswer } from "./scheme.mjs";
import { begun, forget, market, settle, spend, sum, usable } from "./state.mjs";
import { checked, fault, fields, hexOf, int, like, line, page, random } from "./wire.mjs";
import { isolated, leave, popUp, returned } from "./window.mjs";

const NAME = "farthing-pay";
/** How long a tab waits for another one that asks, milliseconds. */
const TURN = 960_000;
const WEEK = 604_800;

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
  /** @type {Set<(spent: Spent) => void>} */
  const listeners = new Set();
  const others = new BroadcastChannel(NAME);
  const hear = (/** @type {Spent} */ spent) => listeners.forEach((listener) => queueMicrotask(() => listener(spent)));
  others.onmessage = ({ data }) => hear(data);
  // A server that renders the page is not kept alive by it.
  /** @type {any} */ (others).unref?.();

  const ask = async (/** @type {Terms} */ terms) => {
    if (typeof window === "undefined") throw fault("unsupported", "There is no window to ask in. No money moved.", { terms });
    const where = wallet ?? terms.wallet;
    if (!where) throw fault("invalid-argument", "No wallet is named. No money moved.", { terms });
    await navigator.locks.request(`${NAME}/ask`, { signal: AbortSignal.timeout(TURN) }, async () => {
      const held = await ledger.change((state) => {
        if (usable(state, terms, Date.now())) return undefined;
        return begun(state, terms) ?? prepare(state, terms);
      });
      if (!held) return;
      const { request } = held;
      try {
        if (mode !== "redirect") {
          const answer = await popUp(where, request);
          await ledger.change((state) => accept(state, answer));
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

  const purse = purseOf(ledger, { owner: tab(NAME), obtain: ask, usable, spend, settle });

  /** An answer that we came back with. */
  const back = returned();
  const ready = (async () => {
    if (!back) return undefined;
    try {
      const answer = decodeGrantAnswer(back);
      const held = await ledger.change((state) => accept(state, answer));
      return held?.grant && { grant: held.grant };
    } catch (error) {
      return { error: /** @type {any} */ (error) };
    }
  })();

  const pay = paying(purse, {
    most: perRequest,
    tell(spent) {
      hear(spent);
      others.postMessage(spent);
    },
  });

  /** @type {Payer["fetch"]} */
  const paidFetch = async (input, init) => {
    await ready;
    return pay(input, init);
  };

  return {
    fetch: paidFetch,
    returned: ready,
    handle(event) {
      const { request } = event;
      if (!/^(GET|HEAD)$/.test(request.method)) return;
      const own = new URL(request.url).origin === location.origin;
      /** @type {RequestInit} */
      const init = request.mode === "navigate" ? {} : own ? { mode: "same-origin" } : { mode: "cors", credentials: "omit" };
      event.respondWith(
        paidFetch(request, { ...init, payment: { ask: false } }).catch((error) => error.response ?? Promise.reject(error)),
      );
    },
    on(name, listener) {
      if (name !== "spent" || typeof listener !== "function") throw fault("invalid-argument", "on('spent', listener)");
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    meter: (response) => response.payment?.meter,
    async state() {
      return ledger.change(({ held, spends }) =>
        held.flatMap(({ grant, free }) => {
          if (!grant) return [];
          const left = sum(free);
          return [{ ...grant, left, spent: grant.unitPrice * BigInt(grant.units - left), open: spends.filter(({ key }) => key === grant.key).length, expiresAt: grant.expiry * 1000 }];
        }),
      );
    },
    async end(key) {
      await ledger.change((state) => {
        for (const { grant } of state.held) if (grant && grant.key === (key ?? grant.key)) forget(state, grant.key);
      });
    },
  };
}
