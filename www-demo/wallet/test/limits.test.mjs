import assert from "node:assert/strict";
import { test } from "node:test";
import { DAY, MONTH, consistent, defaults, judge, raised } from "../src/logic/limits.ts";

const limits = { perGrant: 10n, perSite: 25n, perDay: 40n };
const now = 1_800_000_000_000;
const grant = (changes = {}) => ({ origin: "https://a.example", asset: "DAI", unitPrice: 1n, units: 10, paid: 0, open: true, at: now - 1_000, ...changes });
const ask = (cost, grants = [], changes = {}) => judge({ origin: "https://a.example", asset: "DAI", cost, now, limits, grants, ...changes });

test("a cost up to the limit fits, and one more does not", () => {
  assert.deepEqual(ask(10n), { fits: true });
  assert.deepEqual(ask(11n), { fits: false, limit: "perGrant", most: 10n, used: 0n });
  assert.deepEqual(ask(5n, [grant(), grant()]), { fits: true });
  assert.deepEqual(ask(6n, [grant(), grant()]), { fits: false, limit: "perSite", most: 25n, used: 20n });
});

test("other sites count for the day, other assets for nothing", () => {
  const others = [1, 2, 3, 4].map((number) => grant({ origin: `https://${number}.example` }));
  assert.deepEqual(ask(1n, others), { fits: false, limit: "perDay", most: 40n, used: 40n });
  assert.deepEqual(ask(1n, others.map((one) => ({ ...one, asset: "ETH" }))), { fits: true });
  assert.deepEqual(ask(1n, others.map((one) => ({ ...one, at: now - DAY }))), { fits: true });
});

test("what came back is free again, what was paid is not, until its time is over", () => {
  const ended = (paid, at) => grant({ open: false, units: 20, paid, at });
  assert.deepEqual(ask(10n, [ended(15, now - 2 * DAY)]), { fits: true });
  assert.deepEqual(ask(10n, [ended(16, now - 2 * DAY)]), { fits: false, limit: "perSite", most: 25n, used: 16n });
  assert.deepEqual(ask(10n, [ended(16, now - MONTH)]), { fits: true });
  assert.deepEqual(ask(10n, [grant({ units: 16, at: now - 2 * MONTH })]), { fits: false, limit: "perSite", most: 25n, used: 16n });
});

test("an asset whose worth nobody knows starts with nothing; known ones start small", () => {
  assert.deepEqual(defaults("XYZ", 18), { perGrant: 0n, perSite: 0n, perDay: 0n });
  assert.equal(defaults("USDC", 6).perGrant, 1_000_000n);
  assert.equal(defaults("ETH", 18).perGrant, 5n * 10n ** 14n);
  for (const symbol of ["DAI", "ETH", "XYZ"]) assert.equal(consistent(defaults(symbol, 18)), undefined);
});

test("raising a limit for one request raises what is in its way and no more", () => {
  const verdict = ask(12n);
  const more = raised(limits, verdict, 12n);
  assert.deepEqual(more, { ...limits, perGrant: 12n });
  assert.deepEqual(ask(12n, [], { limits: more }), { fits: true });
  assert.equal(ask(13n, [], { limits: more }).fits, false);
  assert.match(consistent({ ...limits, perGrant: 26n }), /one site/);
  assert.match(consistent({ ...limits, perGrant: 25n, perDay: 24n }), /a day/);
});
