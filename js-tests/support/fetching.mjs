// What the tests of the paying fetch have in common: sites that count, a payer before them, and the verdict on each site at the end
// of a test.

import assert from "node:assert/strict";
import { afterEach } from "node:test";
import { packageFile } from "./env.mjs";
import { TERMS, engine, paidSite, soldOnce } from "./paid-site.mjs";

export const { fetching, forgetful, stored } = await packageFile("fetch.mjs");
export const UNIT = TERMS.unitPrice;

/** The sites of the test that runs. */
export const open = [];
afterEach(async () => {
  for (const site of open.splice(0)) {
    assert.ok(soldOnce(site), "a unit was sold twice");
    await site.close();
  }
});

export const text = (body) => (request, response) => response.end(body);
export const article = { units: 2, serve: text("the article") };
/** Instead of an answer the connection ends. */
export const cut = { after: (request, response) => response.destroy() };

export async function siteWith(routes, options) {
  const site = await paidSite({ routes, ...options });
  open.push(site);
  return site;
}

export async function payerOf(routes, { budget = { perRequest: { DAI: 100n * UNIT }, perSite: { DAI: 5_000n * UNIT }, perDay: { DAI: 9_000n * UNIT } }, place = forgetful(), told = [], durable } = {}) {
  const site = await siteWith(routes);
  const client = engine(() => open, { durable });
  const { fetch, spending } = fetching(client, { place, budget, tell: (spent) => told.push(spent) });
  return { site, client, fetch, spending, told, get: (path, init) => fetch(`${site.url}${path}`, init) };
}

export const read = async (response) => ({ status: response.status, text: await response.text() });
