// `farthing/pay`: the face for a site's page, and its service worker.
// @ts-check

/** @import { GrantAnswer, Payer, PayerOptions, Spent, Terms } from "./index.js" */
/** @import { Held, State } from "./state.mjs" */

import { chainOf, streamKey } from "./chain.mjs";
import { paying } from "./fetch.mjs";
import { Purse, tab } from "./grants.mjs";
import { Ledger, indexed } from "./ledger.mjs";
import { EXPIRES, MOST_UNITS, decodeGrantAnswer } from "./scheme.mjs";
import { forget, sum, usable } from "./state.mjs";
import { PayError, checked, hexOf, int, line, maybe, page, random, wrong } from "./wire.mjs";
import { Silent, isolated, leave, popUp, returned } from "./window.mjs";

export { PayError } from "./wire.mjs";

const NAME = "farthing-pay";
/** How long a tab waits for another one that asks, milliseconds. */
const TURN = 960_000;
const WEEK = 604_800;

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
  const kept = /** @type {const} */ (["tip", "payee", "network", "contract", "hub", "asset", "unitPrice"]).every((name) => grant[name] === request[name]);
  if (!kept || grant.units > request.units || grant.key !== streamKey(grant.tip, grant.units, grant.expiry)) {
    throw new PayError("bad-answer", "The wallet granted something else than was asked for. Nothing was paid from it.");
  }
  held.grant = grant;
  held.free = [[0, grant.units]];
  held.at = Date.now();
  return held;
}

/** @param {PayerOptions} [options] @returns {Payer} */
export function payer(options = {}) {
  const { wallet, title, reason, units = 0, expiresIn = WEEK, perRequest, mode } = options;
  checked("invalid-argument", "payer", () => {
    maybe(page)(wallet, "wallet");
    maybe(line(80))(title, "title");
    maybe(line(120))(reason, "reason");
    int(0, MOST_UNITS)(units, "units");
    int(EXPIRES.least, EXPIRES.most)(expiresIn, "expiresIn");
    if (perRequest !== undefined && typeof perRequest !== "bigint") wrong("perRequest");
    if (mode !== undefined && mode !== "popup" && mode !== "redirect") wrong("mode");
  });
  const ledger = new Ledger(indexed(NAME));
  /** @type {Set<(spent: Spent) => void>} */
  const listeners = new Set();
  const others = new BroadcastChannel(NAME);
  const hear = (/** @type {Spent} */ spent) => listeners.forEach((listener) => queueMicrotask(() => listener(spent)));
  others.onmessage = ({ data }) => hear(data);
  // In Node, where tests are, it keeps nothing alive.
  /** @type {any} */ (others).unref?.();

  const ask = async (/** @type {Terms} */ terms) => {
    if (typeof window === "undefined") throw new PayError("unsupported", "There is no window here to ask the reader in: ask from a page. No money moved.", { terms });
    const where = wallet ?? terms.wallet;
    if (!where) throw new PayError("invalid-argument", "Neither the page nor the site names a wallet page. No money moved.", { terms });
    await navigator.locks.request(`${NAME}/ask`, { signal: AbortSignal.timeout(TURN) }, async () => {
      const held = await ledger.change((state) => {
        if (usable(state, terms, Date.now())) return undefined;
        const asked = state.held.find(({ grant, request }) => !grant && request.payee === terms.payTo && request.network === terms.network && request.asset === terms.asset && request.contract === terms.contract && request.hub === terms.hub && request.unitPrice === terms.unitPrice && request.units >= terms.units);
        return asked ?? prepare(state, terms);
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
        const cut = error instanceof Silent && mode !== "popup" && (await isolated());
        if (!cut) throw Object.assign(/** @type {any} */ (error), { terms });
      }
      await ledger.change((state) => {
        for (const one of state.held) if (one.request.id === request.id) one.was = location.hash;
        state.rev += 1;
      });
      await leave(where, { ...request, returnTo: location.href.replace(/#.*/, "") });
    });
  };

  /** The chain is made and kept before anybody hears of its tip. @param {State} state @param {Terms} terms */
  const prepare = (state, { payTo: payee, hub, network, contract, asset, unitPrice, units: least, minUnits }) => {
    const wanted = Math.max(least, minUnits, units);
    const { tip, marks } = chainOf(random(32), wanted);
    const shown = title ?? ((document.title || location.hostname).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, " ").slice(0, 80));
    const request = { id: hexOf(random(16)), payee, hub, network, contract, asset, unitPrice, units: wanted, tip, expiresIn, title: shown, reason };
    /** @type {Held} */
    const held = { at: Date.now(), request, marks, free: [], shown: 0 };
    state.held.push(held);
    state.rev += 1;
    return held;
  };

  const purse = new Purse(ledger, { owner: tab(NAME), obtain: ask });

  /** An answer that we came back with. */
  const back = returned();
  const ready = (async () => {
    if (!back) return undefined;
    try {
      const answer = decodeGrantAnswer(back.text);
      const held = await ledger.change((state) => {
        back.show(state.held.find(({ request }) => request.id === answer.id)?.was);
        return accept(state, answer);
      });
      return held?.grant && { grant: held.grant };
    } catch (error) {
      return { error: /** @type {any} */ (error) };
    }
  })();

  const pay = paying(purse, {
    most: () => perRequest,
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
      if (request.method !== "GET" && request.method !== "HEAD") return;
      const own = new URL(request.url).origin === location.origin;
      /** @type {RequestInit} */
      const init = request.mode === "navigate" ? {} : own ? { mode: "same-origin" } : { mode: "cors", credentials: "omit" };
      event.respondWith(
        paidFetch(request, { ...init, payment: { ask: false } }).catch((error) => {
          if (error?.response) return error.response;
          throw error;
        }),
      );
    },
    on(name, listener) {
      if (name !== "spent" || typeof listener !== "function") throw new PayError("invalid-argument", 'There is the event "spent" alone, and a listener is a function.');
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    meter: (response) => response.payment?.meter,
    async state() {
      return ledger.change(({ held, spends }) =>
        held.flatMap(({ grant, free }) => {
          if (!grant) return [];
          const { key, payee, hub, network, asset, symbol, decimals, unitPrice, units, expiry } = grant;
          const left = sum(free);
          return [{ key, payee, hub, network, asset, symbol, decimals, unitPrice, units, left, spent: unitPrice * BigInt(units - left), open: spends.filter((spend) => spend.key === key).length, expiresAt: expiry * 1000 }];
        }),
      );
    },
    async end(key) {
      await ledger.change((state) => {
        for (const { grant } of [...state.held]) if (grant && (key === undefined || grant.key === key)) forget(state, grant.key);
      });
    },
  };
}
