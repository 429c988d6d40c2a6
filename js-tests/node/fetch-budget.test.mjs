// `fetch` that pays within its budget, whatever a site says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { UNIT, article, fetching, forgetful, open, payerOf, read, siteWith, text } from "../support/fetching.mjs";

test("the next stream is no larger than what the site may still get", async () => {
  const budget = { perRequest: { DAI: 3n * UNIT }, perSite: { DAI: 50n * UNIT }, perDay: { DAI: 100n * UNIT } };
  const { site, client, get } = await payerOf({ "/articles/*": { ...article, minUnits: 40 } }, { budget });
  for (let number = 0; number < 25; number += 1) assert.equal((await read(await get(`/articles/${number}`))).status, 200);
  assert.deepEqual(client.calls.map(({ units }) => units), [40, 10]);
  await assert.rejects(get("/articles/25"), { code: "over-limit" });
  assert.equal(site.charged(), 50);
});

test("budgets are kept to the unit, and asked for beyond", async () => {
  const asked = [];
  const budget = { perRequest: { DAI: 3n * UNIT }, perSite: { DAI: 8n * UNIT }, perDay: { DAI: 100n * UNIT } };
  const { site, client, get, spending } = await payerOf({ "/articles/*": article, "/dear": { units: 4, serve: text("dear") } }, { budget });
  await assert.rejects(get("/dear"), (error) => error.code === "over-limit" && /perRequest/.test(error.message));
  assert.equal(client.calls.length, 0, "nothing is signed");
  for (let number = 0; number < 4; number += 1) await read(await get(`/articles/${number}`));
  assert.equal(client.calls[0].units, 8, "a stream is no larger than what may be spent");
  await assert.rejects(get("/articles/5"), (error) => error.code === "over-limit" && /perSite/.test(error.message));
  assert.equal(site.charged(), 8);
  assert.equal((await spending())[0].amount, 8n * UNIT);
  let answer = false;
  const other = await payerOf({ "/dear": { units: 4, serve: text("dear") } }, { budget: { ...budget, ask: (over) => (asked.push(over), answer) } });
  await assert.rejects(other.get("/dear"), { code: "over-limit" });
  answer = true;
  assert.equal((await read(await other.get("/dear"))).text, "dear");
  assert.deepEqual(asked.map(({ limit, allowed, amount, asset }) => [limit, allowed, amount, asset]), Array.from({ length: 2 }, () => ["perRequest", 3n * UNIT, 4n * UNIT, "DAI"]));
});

test("many at once do not break the budget", async () => {
  const budget = { perRequest: { DAI: 3n * UNIT }, perSite: { DAI: 9n * UNIT }, perDay: { DAI: 100n * UNIT } };
  const { site, get } = await payerOf({ "/articles/*": article }, { budget });
  const all = await Promise.allSettled(Array.from({ length: 12 }, (_, number) => get(`/articles/${number}`).then(read)));
  assert.equal(all.filter(({ status }) => status === "fulfilled").length, 4);
  assert.ok(all.every(({ reason }) => !reason || reason.code === "over-limit"));
  assert.equal(site.charged(), 8);
});

test("without a budget there are defaults, by the hub's word for the asset and not the site's", async () => {
  const { client, get } = await payerOf({ "/cheap": { units: 100, minUnits: 1_000, serve: text("cheap") }, "/dear": { units: 101, serve: text("dear") } }, { budget: undefined });
  assert.equal((await read(await get("/cheap"))).text, "cheap");
  const { fetch: plain } = fetching(client, { place: forgetful() });
  await assert.rejects(plain(`${open[0].url}/dear`), { code: "over-limit" });
  client.info.hub.assets[0].asset = "JUNK";
  const { fetch: junk } = fetching(client, { place: forgetful() });
  await assert.rejects(junk(`${open[0].url}/cheap`), { code: "over-limit" });
});

test("another hub, chain, contract or asset is refused before anything is signed", async () => {
  const { site, client, get } = await payerOf({ "/articles/*": article });
  for (const terms of [{ network: "eip155:1" }, { hub: "https://elsewhere.example" }, { contract: `0x${"aa".repeat(20)}` }, { asset: `0x${"bb".repeat(20)}` }]) {
    site.terms = terms;
    await assert.rejects(get("/articles/1"), { code: "other-hub" });
  }
  assert.equal(client.calls.length, 0);
});

const TIGHT = { perRequest: { DAI: 3n * UNIT }, perSite: { DAI: 20n * UNIT }, perDay: { DAI: 100n * UNIT } };

/** Reads on until the budget says no. Gives the units that the site can have for the words that it was shown. */
async function readOn({ site, get }) {
  const codes = new Set();
  for (let number = 0; number < 40; number += 1) await get(`/articles/${number}`).then(read, ({ code }) => codes.add(code));
  const shown = new Map();
  for (const { payload } of site.log) if (payload) shown.set(payload.key, Math.max(shown.get(payload.key) ?? 0, payload.to));
  return { codes: [...codes], shown: [...shown.values()].reduce((all, to) => all + to, 0) };
}

test("a site that takes the words, says that nothing was charged, and ends the stream gets no more than the budget", async () => {
  const payer = await payerOf({ "/articles/*": article }, { budget: TIGHT });
  const { client, site } = payer;
  const { stream } = client;
  const placed = [];
  client.stream = async (options) => {
    placed.push(await stream.call(client, options));
    return placed.at(-1);
  };
  const before = (request, response) => {
    for (const one of placed) one.ended = one.paid > 0;
    response.end("for nothing");
  };
  site.faults = { shift: () => ({ before }) };
  const { codes, shown } = await readOn(payer);
  assert.ok(shown <= 20, `${shown} units of 20`);
  assert.deepEqual(codes, ["over-limit"]);
  assert.equal((await payer.spending())[0].amount, BigInt(shown) * UNIT);
});

test("what a site says that others paid is of the budget, since the next word shows it", async () => {
  const payer = await payerOf({ "/articles/*": article }, { budget: TIGHT });
  const { site } = payer;
  const before = (request, response, { refuse }) => {
    const { key, to } = site.log.at(-1).payload;
    refuse("interval-spent", { key, sold: [{ from: 0, charged: to + 2 }] });
  };
  site.faults = { shift: () => ({ before }) };
  const { codes, shown } = await readOn(payer);
  assert.ok(shown <= 20, `${shown} units of 20, ${codes}`);
});

test("what was allowed is allowed to that request, and to no other one for the same", async () => {
  const answers = [];
  const asked = [];
  const budget = { ...TIGHT, ask: (over) => (asked.push(over), answers.shift()) };
  const { site, get } = await payerOf({ "/articles/*": article, "/dear/*": { units: 4, serve: text("dear") } }, { budget });
  await read(await get("/articles/1"));
  // It is allowed, and ends before it takes what it may.
  const controller = new AbortController();
  answers.push(new Promise((answer) => (controller.allow = answer)));
  const first = get("/dear/1", { signal: controller.signal });
  while (asked.length === 0) await new Promise((done) => setImmediate(done));
  controller.abort(new Error("enough"));
  await assert.rejects(first, /enough/);
  controller.allow(true);
  answers.push(false);
  await assert.rejects(get("/dear/2"), { code: "over-limit" });
  answers.push(true, false);
  assert.equal((await read(await get("/dear/3"))).text, "dear");
  await assert.rejects(get("/dear/4"), { code: "over-limit" });
  assert.deepEqual([asked.length, site.charged()], [4, 6]);
});

/** Units that a site could take for the words that it saw. */
const takeable = (site) => {
  const shown = new Map();
  for (const { payload } of site.log) if (payload) shown.set(payload.key, Math.max(shown.get(payload.key) ?? 0, payload.to));
  return [...shown.values()].reduce((all, to) => all + to, 0);
};

test("one request shows no more than it may cost, whatever the site refuses and asks for", async () => {
  const refusals = [
    // Sold to somebody, as far as it may say.
    ({ key, from, to }) => ["interval-spent", { key, sold: [{ from: 0, charged: to + to - from }] }],
    ({ key, to }) => ["interval-spent", { key, sold: [{ from: 0, charged: to }] }],
    () => ["stream-ended"],
    () => ["bad-word"],
    ({ key, to }, site) => ((site.unitPrice += 1n), ["price-changed", { key, sold: [] }]),
  ];
  for (const [number, refusal] of refusals.entries()) {
    const asked = [];
    const budget = { ...TIGHT, ask: (over) => (asked.push(over.amount), false) };
    const { site, get } = await payerOf({ "/articles/*": article }, { budget });
    const before = (request, response, { refuse }) => refuse(...refusal(site.log.at(-1).payload, site));
    site.faults = { shift: () => ({ before }) };
    await assert.rejects(get("/articles/1"), { code: "over-limit" }, String(number));
    assert.equal(takeable(site), 2, `${number}: the first word, and no other one`);
    // The whole of what it would come to is what the application is asked for.
    assert.ok(asked.every((amount) => amount >= 4n * UNIT), String(asked));
  }
});

test("what is allowed beyond the budget may be shown, and what was lost is found again by the next request", async () => {
  const { site, get } = await payerOf({ "/articles/*": article }, { budget: { ...TIGHT, ask: ({ amount }) => amount <= 4n * UNIT } });
  await read(await get("/articles/0"));
  // Somebody had the two that are next: one who has this payer's book of before.
  const [stream] = site.streams.values();
  stream.sold.push({ from: 2, to: 4, id: "0x00", charged: 2 });
  assert.equal((await read(await get("/articles/1"))).text, "the article");
  stream.sold.push({ from: 6, to: 8, id: "0x01", charged: 2 });
  const strict = await get("/articles/2").then(read);
  assert.equal(strict.text, "the article");
  assert.equal(site.log.at(-1).payload.to, 10);
});

test("a stream that one site's terms were for pays no other site's, even of the same payee", async () => {
  const { site, client, get, fetch: pay } = await payerOf({ "/articles/*": article });
  await read(await get("/articles/1"));
  const other = await siteWith({ "/articles/*": article });
  await read(await pay(`${other.url}/articles/1`));
  await read(await get("/articles/2"));
  assert.equal(client.calls.length, 2);
  const keys = (one) => new Set(one.log.flatMap(({ payload }) => payload?.key ?? []));
  assert.deepEqual([keys(site).size, keys(other).size], [1, 1]);
  assert.ok(![...keys(other)].some((key) => keys(site).has(key)));
});
