// The wallets that a page's extensions announce (EIP-6963), and the one that is only injected. What they say of themselves is
// theirs to invent: it is cut to what can be shown without harm, and who announces first can't be replaced.
// @ts-check

/** @import { DiscoverOptions, DiscoveredWallet, Discovery } from "./index.js" */

import { fault } from "../faults.mjs";

/** How many are taken: a script can announce without end. */
const MOST = 64;

/** Code points of a name, and characters of an icon. */
const NAME = 40;
const ICON = 262_144;

/** Pictures that can load nothing and run nothing in an `img`. */
const PICTURE = /^data:image\/(?:svg\+xml|png|webp|jpeg|gif|avif)[;,]/i;

/** A domain read backwards. */
const RDNS = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$/i;

/** A name on one line, without what turns text around or can't be seen. @param {unknown} name */
export function shownName(name) {
  if (typeof name !== "string") return "";
  const seen = name.slice(0, 1_000).normalize("NFKC").replace(/[\p{Cf}\p{Cs}\p{Co}\p{Cn}\u115F\u1160\u3164\u2800]/gu, "");
  const line = seen.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ");
  // A stack of marks reaches over the lines beside it.
  const points = [...line.replace(/(\p{M}{2})\p{M}+/gu, "$1").trim()];
  return points.length > NAME ? `${points.slice(0, NAME - 1).join("").trim()}…` : points.join("");
}

/** @param {any} detail @returns {DiscoveredWallet | undefined} */
function read(detail) {
  try {
    const { info, provider } = detail;
    const { uuid, name, rdns, icon } = info;
    if (typeof uuid !== "string" || uuid === "" || uuid.length > 100 || uuid === LEGACY) return undefined;
    if (typeof provider?.request !== "function") return undefined;
    const domain = typeof rdns === "string" && rdns.length <= 100 && RDNS.test(rdns) ? rdns.toLowerCase() : undefined;
    /** @type {{ -readonly [Name in keyof DiscoveredWallet]: DiscoveredWallet[Name] }} */
    const wallet = { uuid, name: shownName(name) || (domain ?? "Wallet without a name"), provider, legacy: false };
    if (domain !== undefined) wallet.rdns = domain;
    if (typeof icon === "string" && icon.length <= ICON && PICTURE.test(icon)) wallet.icon = icon;
    return Object.freeze(wallet);
  } catch {
    // Its getters throw: nobody could use it.
    return undefined;
  }
}

const LEGACY = "legacy";

/** @param {any} target @returns {any} */
function injected(target) {
  try {
    return typeof target.ethereum?.request === "function" ? target.ethereum : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Listens for wallets from now on, and asks those that are there. A wallet that announces later comes in by `onChange`.
 * @param {DiscoverOptions} [options] @returns {Discovery}
 */
export function discoverWallets({ target = globalThis, legacyName = "Browser wallet" } = {}) {
  if (typeof legacyName !== "string") throw fault("invalid-argument", "discoverWallets(): legacyName must be a string.");
  /** @type {Map<string, DiscoveredWallet>} */
  const announced = new Map();
  /** @type {Set<(wallets: readonly DiscoveredWallet[]) => void>} */
  const listeners = new Set();
  /** @type {readonly DiscoveredWallet[]} */
  let wallets = Object.freeze([]);
  /** @type {DiscoveredWallet | undefined} */
  let old;

  const tell = () => {
    const all = [...announced.values()];
    const ethereum = injected(target);
    if (ethereum === undefined || all.some(({ provider }) => provider === ethereum)) old = undefined;
    else if (old?.provider !== ethereum) old = Object.freeze({ uuid: LEGACY, name: legacyName, provider: ethereum, legacy: true });
    const now = old === undefined ? all : [...all, old];
    if (now.length === wallets.length && now.every((wallet, at) => wallet === wallets[at])) return;
    wallets = Object.freeze(now);
    for (const listener of [...listeners]) hear(listener, wallets);
  };
  const take = (/** @type {any} */ event) => {
    const wallet = read(event?.detail);
    if (wallet === undefined || announced.size >= MOST || announced.has(wallet.uuid)) return;
    if ([...announced.values()].some(({ provider }) => provider === wallet.provider)) return;
    announced.set(wallet.uuid, wallet);
    tell();
  };
  const events = /** @type {const} */ ([["eip6963:announceProvider", take], ["ethereum#initialized", tell]]);

  if (typeof target?.addEventListener === "function") {
    for (const [name, listener] of events) target.addEventListener(name, listener);
    // Whoever announced before we listened does so again.
    target.dispatchEvent(new Event("eip6963:requestProvider"));
    tell();
  }
  return {
    get wallets() {
      return wallets;
    },
    onChange(listener) {
      if (typeof listener !== "function") throw fault("invalid-argument", "onChange() takes a function.");
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    stop() {
      listeners.clear();
      for (const [name, listener] of events) target?.removeEventListener?.(name, listener);
    },
  };
}

/** @param {(wallets: readonly DiscoveredWallet[]) => void} listener @param {readonly DiscoveredWallet[]} wallets */
function hear(listener, wallets) {
  try {
    listener(wallets);
  } catch (error) {
    // The application's mistake; other wallets and listeners go on.
    queueMicrotask(() => {
      throw error;
    });
  }
}
