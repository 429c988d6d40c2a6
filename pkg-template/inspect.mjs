// A client as a bug report shows it: who, where, since when, and what failed. No key, phrase, word, preimage or memo is in
// it, and of a URL no more than its origin.
// @ts-check

/** @import { ConnectOptions, Info, Inspection } from "./index.js" */
/** @import { Core } from "./internal.js" */
/** @import { Log } from "./log.mjs" */

import { glue } from "./core.mjs";
import { withoutUrls } from "./log.mjs";

/** Milliseconds for which another tab is asked. */
const PATIENCE = 1_000;

/** What of the options may be shown. @param {any} options */
export function shownOptions(options) {
  const { store, budget, rpc, wallet, watchtowers, adopt, shared } = options ?? {};
  return {
    store: store === undefined ? "default" : store === "memory" ? "memory" : typeof store === "string" ? "path" : "own",
    wallet: typeof wallet?.privateKey === "string" ? "key" : typeof wallet?.mnemonic === "string" ? "phrase" : "provider",
    rpc: (Array.isArray(rpc) ? rpc : rpc === undefined ? [] : [rpc]).map(origin),
    watchtowers: (Array.isArray(watchtowers) ? watchtowers : []).map(origin),
    adopt: adopt === true,
    shared: shared !== false,
    budget: typeof budget === "object" && budget !== null ? plain(limits(budget)) : undefined,
  };
}

/** The numbers of a budget; whom it asks is a function. @param {any} budget */
const limits = (budget) => Object.fromEntries(Object.entries(budget).filter(([, value]) => typeof value !== "function"));

/** @param {unknown} url */
function origin(url) {
  try {
    const { protocol, host } = new URL(String(url));
    return `${protocol}//${host}`;
  } catch {
    return withoutUrls("?");
  }
}

/** With amounts as decimal strings. @template Value @param {Value} value @returns {any} */
const plain = (value) => JSON.parse(JSON.stringify(value, (_, item) => (typeof item === "bigint" ? String(item) : item)) ?? "null");

function environment() {
  const { navigator, process, document } = /** @type {any} */ (globalThis);
  const runtime = process?.versions?.node === undefined ? (navigator?.userAgent ?? "unknown") : `Node ${process.versions.node}`;
  return { runtime, page: document?.visibilityState, online: navigator?.onLine };
}

/** What can't be told is left out: a report of half is better than none. @template Value @param {() => Value} work */
function attempt(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** What comes in time, if it comes; the timer goes with it, or it would keep a process alive. @param {() => any} work @param {number} patience */
export async function soon(work, patience) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, patience)));
  const told = Promise.resolve().then(work).catch(() => undefined);
  return Promise.race([told, late]).finally(() => clearTimeout(timer));
}

/**
 * @param {Core} core @param {ReturnType<typeof shownOptions>} options @param {Log} log
 * @param {{ since: number, closed: boolean, connected: boolean }} connection
 * @returns {Promise<Inspection>}
 */
export async function inspected(core, options, log, connection) {
  const info = /** @type {Partial<Info>} */ (attempt(() => core.info()) ?? {});
  const { hub, address, signer, channelId, chainId, contract, confirmations } = info;
  return plain({
    farthing: attempt(() => glue._version()),
    at: Date.now(),
    environment: environment(),
    hub: { url: hub === undefined ? undefined : origin(hub.url), owner: hub?.owner, signer: hub?.signer },
    connection: { state: connection.closed ? "disconnected" : connection.connected ? "connected" : "connecting", since: connection.since },
    channel: { address, signer, channelId, chainId, contract, confirmations },
    options,
    tab: attempt(() => core.role?.()) ?? "alone",
    engine: await soon(() => (core.report === undefined ? core.standing() : core.report()), PATIENCE),
    balances: attempt(() => core.balancesNow()),
    failures: log.failures,
  });
}

