// What is answered instead of what was asked for: a page for people, JSON for machines, and the terms for both.
// @ts-check

/** @import { ProblemCode } from "./index.js" */
/** @import { Asked, Quote, Ready, Stream } from "./internal.js" */
/** @import { Route, Wall } from "./wall.mjs" */

import { REQUIRED, encodeRequired } from "../pay/scheme.mjs";
import { wantsPage } from "./dress.mjs";
import { page } from "./page.mjs";
import { messageOf, statusOf } from "./problem.mjs";
import { ranges } from "./spend.mjs";

/** Ranges of spent units that are told at most: headers are small. */
const RANGES = 200;

/** Of these a payer has lost its place, or may want to know it. */
const TOLD = new Set(["interval-spent", "price-changed", "bad-word", "id-reused"]);

/** @param {Wall} wall @param {Route} route @param {Asked} asked @param {Quote | undefined} quote @param {ProblemCode} code @param {Stream} [stream] @returns {Promise<Ready>} */
export async function refuse(wall, route, asked, quote, code, stream) {
  const status = statusOf(code);
  const site = wall.known;
  /** @type {[string, string][]} */
  const headers = [];
  if (site !== undefined && quote !== undefined) {
    const spent = stream !== undefined && TOLD.has(code) ? ranges(await wall.ledger.rows.spent(stream.key).catch(() => []), RANGES) : undefined;
    const text = encodeRequired({
      error: code === "payment-required" ? "payment required" : messageOf(code),
      ...(code !== "payment-required" && { code }),
      resource: { url: asked.url, ...(route.description && { description: route.description }), ...(route.mimeType && { mimeType: route.mimeType }) },
      terms: [wall.termsOf(site, route, quote)],
      others: await route.offers(asked),
      ...(stream !== undefined && spent !== undefined && { stream: { key: /** @type {any} */ (stream.key), spent } }),
    });
    headers.push([REQUIRED, text]);
  }
  if (status === 409 || status === 503) headers.push(["retry-after", "1"]);
  if (status === 402 && quote !== undefined && site !== undefined && wantsPage(asked.header("accept"))) {
    headers.push(["content-type", "text/html; charset=utf-8"], ["content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]);
    const { symbol, decimals } = wall.assetOf(site, route);
    return { status, headers, body: page({ code, title: wall.settings.title, description: route.description, wallet: wall.settings.wallet, amount: quote.amount, rate: quote.rate, symbol, decimals }) };
  }
  headers.push(["content-type", "application/json"]);
  return { status, headers, body: JSON.stringify({ error: { code, message: messageOf(code) } }) };
}
