// The paywall's options, checked once.
// @ts-check

/** @import { PaywallOptions } from "./index.js" */
/** @import { Site } from "./internal.js" */

import { positive } from "./price.mjs";
import { invalid } from "./problem.mjs";
import { Ledger } from "./store/ledger.mjs";

const KNOWN = ["store", "origin", "client", "site", "asset", "unitPrice", "minUnits", "wallet", "title", "cors", "others", "margin", "again", "keep", "patience", "idle", "recordsFor", "recover", "onError"];

/** @param {PaywallOptions} options */
export function readSettings(options) {
  if (typeof options !== "object" || options === null) throw invalid("paywall() takes an object.");
  const strange = Object.keys(options).filter((name) => !KNOWN.includes(name));
  if (strange.length > 0) throw invalid(`paywall() has no option ${strange.join(", ")}; it has ${KNOWN.join(", ")}.`);
  const { store, asset, title, cors = "*", others = [], recover, onError = report } = options;
  if (!(store instanceof Ledger)) throw invalid("`store` must be sqlite(path) or postgres(pool).");
  if (typeof asset !== "string" || asset === "") throw invalid("`asset` must be a symbol that the hub lists, or a token's address.");
  if (cors !== false && cors !== "*" && !(Array.isArray(cors) && cors.every((each) => typeof each === "string"))) throw invalid("`cors` must be \"*\", a list of origins, or false.");
  if (!Array.isArray(others)) throw invalid("`others` must be a list.");
  if (recover !== undefined && typeof recover !== "function") throw invalid("`recover` must be a function of a digest and a signature.");
  if (typeof onError !== "function") throw invalid("`onError` must be a function.");
  const origin = originOf(options.origin);
  return {
    store,
    origin,
    asset,
    unitPrice: positive(options.unitPrice, "unitPrice"),
    minUnits: whole(options.minUnits ?? 100, "minUnits", 1, 16_384),
    wallet: options.wallet === undefined ? undefined : web(options.wallet, "wallet"),
    title: text(title ?? new URL(origin).hostname, "title"),
    cors,
    others,
    /** Milliseconds before its words would come too late from which a stream is taken no more. */
    margin: whole(options.margin ?? 60, "margin", 1, 86_400) * 1_000,
    again: { times: whole(options.again?.times ?? 16, "again.times", 1, 1_000_000), milliseconds: whole(options.again?.seconds ?? 86_400, "again.seconds", 1, 31_622_400) * 1_000 },
    keep: {
      bytes: whole(options.keep?.bytes ?? 65_536, "keep.bytes", 0, 16_777_216),
      total: whole(options.keep?.total ?? 67_108_864, "keep.total", 0, 2 ** 40),
      seconds: whole(options.keep?.seconds ?? 3_600, "keep.seconds", 1, 31_622_400),
    },
    /** Milliseconds for which a metered answer waits for the next payment. */
    patience: whole(options.patience ?? 30, "patience", 1, 3_600) * 1_000,
    /** Milliseconds after which a stream that nobody pays by is given up. */
    idle: whole(options.idle ?? 172_800, "idle", 60, 31_622_400) * 1_000,
    /** Milliseconds after its stream's expiry for which a sale is in the report. */
    records: whole(options.recordsFor ?? 90 * 86_400, "recordsFor", 86_400, 10 * 31_622_400) * 1_000,
    site: options.site === undefined ? undefined : siteOf(options.site),
    recover,
    onError,
  };
}

/** @param {unknown} error */
function report(error) {
  console.error(error instanceof Error ? `farthing paywall: ${error.message}` : "farthing paywall: an error without a message");
}

/** @param {unknown} value @param {string} name @param {number} least @param {number} most @returns {number} */
function whole(value, name, least, most) {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value > most) throw invalid(`\`${name}\` must be a whole number from ${least} to ${most}.`);
  return value;
}

/** @param {unknown} value @param {string} name */
function text(value, name) {
  if (typeof value !== "string" || value === "" || value.length > 80) throw invalid(`\`${name}\` must be a text of at most 80 letters.`);
  return value;
}

/** @param {unknown} value @param {string} name */
function web(value, name) {
  if (typeof value !== "string" || !URL.canParse(value) || !["https:", "http:"].includes(new URL(value).protocol)) throw invalid(`\`${name}\` must be a web address.`);
  return value;
}

/** @param {unknown} value */
function originOf(value) {
  const url = new URL(web(value, "origin"));
  if (url.pathname !== "/" || url.search || url.hash || url.username) throw invalid("`origin` must be scheme, host and port alone: \"https://news.example\".");
  return url.origin;
}

/** @param {any} site @returns {Site} */
export function siteOf(site) {
  const address = (/** @type {unknown} */ value) => typeof value === "string" && /^0x[0-9a-f]{40}$/i.test(value);
  const sound =
    address(site?.payTo) && address(site.contract) && Number.isSafeInteger(site.chainId) && site.chainId > 0 && Array.isArray(site.assets) && site.assets.length > 0 &&
    site.assets.every((/** @type {any} */ each) => typeof each?.symbol === "string" && address(each.token) && Number.isSafeInteger(each.decimals) && each.decimals >= 0 && each.decimals <= 36);
  if (!sound) throw invalid("`site` must have payTo, hub, chainId, contract and assets with symbol, token and decimals.");
  return {
    payTo: site.payTo.toLowerCase(),
    hub: web(site.hub, "site.hub"),
    chainId: site.chainId,
    network: `eip155:${site.chainId}`,
    contract: site.contract.toLowerCase(),
    assets: site.assets.map((/** @type {any} */ { symbol, token, decimals }) => ({ symbol, token: token.toLowerCase(), decimals })),
  };
}
