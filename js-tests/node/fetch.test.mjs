// `fetch` that pays, against a real server that counts: one round trip, never twice for one answer, never more than the budget.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { packageFile } from "../support/env.mjs";
import { TERMS, engine, paidSite, soldOnce } from "../support/paid-site.mjs";

const { fetching, forgetful, stored } = await packageFile("fetch.mjs");
const { sqliteStore } = await packageFile("store/sqlite.mjs");
const UNIT = TERMS.unitPrice;
const folder = mkdtempSync(join(tmpdir(), "farthing-fetch-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const open = [];
afterEach(async () => {
  for (const site of open.splice(0)) {
    assert.ok(soldOnce(site), "a unit was sold twice");
    await site.close();
  }
});

const text = (body) => (request, response) => response.end(body);
const article = { units: 2, serve: text("the article") };

async function siteWith(routes, options) {
  const site = await paidSite({ routes, ...options });
  open.push(site);
  return site;
}

async function payerOf(routes, { budget = { perRequest: { DAI: 100n * UNIT }, perSite: { DAI: 5_000n * UNIT }, perDay: { DAI: 9_000n * UNIT } }, place = forgetful(), told = [], durable } = {}) {
  const site = await siteWith(routes);
  const client = engine(() => open, { durable });
  const { fetch, spending } = fetching(client, { place, budget, tell: (spent) => told.push(spent) });
  return { site, client, fetch, spending, told, get: (path, init) => fetch(`${site.url}${path}`, init) };
}

const read = async (response) => ({ status: response.status, text: await response.text() });

test("the first request asks, every later one is one round trip", async () => {
  const { site, client, get, spending, told } = await payerOf({ "/articles/*": article });
  for (let number = 1; number <= 20; number += 1) {
    const response = await get(`/articles/${number}`);
    assert.equal(response.payment.units, 2);
    assert.equal(response.payment.amount, 2n * UNIT);
    assert.equal(response.url, `${site.url}/articles/${number}`);
    assert.equal(await response.text(), "the article");
  }
  assert.equal(site.asked("/articles/1"), 2);
  for (let number = 2; number <= 20; number += 1) assert.equal(site.asked(`/articles/${number}`), 1);
  assert.equal(client.calls.length, 1);
  assert.equal(client.calls[0].units, 100);
  assert.equal(site.charged(), 40);
  assert.equal(told.length, 20);
  const [{ site: where, asset, amount, requests }] = await spending();
  assert.deepEqual([where, asset, amount, requests], [site.url, "DAI", 40n * UNIT, 20]);
});

test("what is free is not paid, and what asks in another scheme comes back as it is", async () => {
  const { site, client, get } = await payerOf({
    "/free": { serve: text("free") },
    "/other": { serve: (_, response) => response.writeHead(402, { "payment-required": Buffer.from(JSON.stringify({ x402Version: 2, accepts: [{ scheme: "exact" }] })).toString("base64") }).end() },
    "/plain": { serve: (_, response) => response.writeHead(402).end("pay at the counter") },
  });
  assert.deepEqual(await read(await get("/free")), { status: 200, text: "free" });
  assert.equal((await get("/other")).status, 402);
  assert.deepEqual(await read(await get("/plain")), { status: 402, text: "pay at the counter" });
  assert.deepEqual([client.calls.length, site.log.length], [0, 3]);
});

test("sixteen at once are sixteen intervals of one stream", async () => {
  const { site, client, get } = await payerOf({ "/articles/*": article });
  const all = await Promise.all(Array.from({ length: 16 }, (_, number) => get(`/articles/${number}`).then(read)));
  assert.ok(all.every(({ status }) => status === 200));
  assert.equal(client.calls.length, 1);
  assert.equal(site.charged(), 32);
});

test("a stream that is used up is followed by another one", async () => {
  const { site, client, get } = await payerOf({ "/articles/*": { ...article, minUnits: 5 } });
  for (let number = 0; number < 6; number += 1) assert.equal((await read(await get(`/articles/${number}`))).status, 200);
  assert.equal(new Set(site.sold().map(({ key }) => key)).size, 3);
  assert.ok(client.calls.length <= 4, "and no more than the one after it");
  assert.equal(site.charged(), 12);
});

test("the next stream is placed before the present one is used up: at the border nobody waits, fails or pays twice", async () => {
  const { site, client, get, spending } = await payerOf({ "/articles/*": { ...article, minUnits: 40 } });
  const stream = client.stream;
  const placed = [];
  client.stream = (options) => {
    placed.push(site.charged());
    return stream.call(client, options);
  };
  for (let number = 0; number < 15; number += 1) await read(await get(`/articles/${number}`));
  // Ten of forty units are left, and the next one stands already.
  assert.deepEqual([placed.length, placed[1] <= 30], [2, true]);
  const all = await Promise.all(Array.from({ length: 16 }, (_, number) => get(`/articles/at-once-${number}`).then(read)));
  assert.ok(all.every(({ status, text }) => status === 200 && text === "the article"));
  assert.equal(new Set(site.sold().map(({ key }) => key)).size, 2);
  assert.deepEqual([site.charged(), (await spending())[0].amount], [62, 62n * UNIT]);
  assert.equal(site.log.filter(({ paid }) => paid).length, 31, "no request was sent twice");
});

test("a next stream that can't be placed keeps nobody from the present one, and is not asked for with each request", async () => {
  const { client, get } = await payerOf({ "/articles/*": { ...article, minUnits: 40 } });
  await read(await get("/articles/0"));
  const { stream } = client;
  let refused = 0;
  client.stream = async () => {
    refused += 1;
    throw Object.assign(new Error("No capacity."), { code: "no-capacity" });
  };
  for (let number = 1; number < 20; number += 1) assert.equal((await read(await get(`/articles/${number}`))).status, 200);
  assert.ok(refused < 4, String(refused));
  await assert.rejects(get("/articles/20"), { code: "no-capacity" });
  client.stream = stream;
  assert.equal((await read(await get("/articles/20"))).status, 200);
});

test("the next stream is no larger than what the site may still get", async () => {
  const budget = { perRequest: { DAI: 3n * UNIT }, perSite: { DAI: 50n * UNIT }, perDay: { DAI: 100n * UNIT } };
  const { site, client, get } = await payerOf({ "/articles/*": { ...article, minUnits: 40 } }, { budget });
  for (let number = 0; number < 25; number += 1) assert.equal((await read(await get(`/articles/${number}`))).status, 200);
  assert.deepEqual(client.calls.map(({ units }) => units), [40, 10]);
  await assert.rejects(get("/articles/25"), { code: "over-limit" });
  assert.equal(site.charged(), 50);
});

test("what is left of a stream and pays no request is given back", async () => {
  const { client, get } = await payerOf({ "/articles/*": { ...article, minUnits: 5 } });
  const ended = [];
  const { stream } = client;
  client.stream = async (options) => {
    const made = await stream.call(client, options);
    return Object.assign(made, { end: async () => void ended.push(options.id) });
  };
  for (let number = 0; number < 6; number += 1) await read(await get(`/articles/${number}`));
  assert.ok(ended.length > 0);
  assert.ok(!ended.includes(client.calls.at(-1).id));
});

test("units that were not charged are used again", async () => {
  const { site, get, spending } = await payerOf({ "/articles/*": { ...article, units: 5, charge: 1, minUnits: 10 } });
  for (let number = 0; number < 6; number += 1) assert.equal((await read(await get(`/articles/${number}`))).text, "the article");
  assert.equal(new Set(site.sold().map(({ key }) => key)).size, 1, "ten units carry six requests of one unit each");
  assert.equal(site.charged(), 6);
  assert.equal((await spending())[0].amount, 6n * UNIT);
});

test("a failure that costs nothing costs nothing", async () => {
  const { site, get, told } = await payerOf({ "/fails": { units: 2, charge: 0, serve: (_, response) => response.writeHead(500).end("sorry") } });
  const response = await get("/fails");
  assert.deepEqual([response.status, response.payment.units, await response.text()], [500, 0, "sorry"]);
  assert.equal(site.charged(), 0);
  assert.deepEqual(told.map(({ units }) => units), [0]);
});

const cut = { after: (request, response) => response.destroy() };

test("an answer that is lost is asked for with the same id, and charged once", async () => {
  const { site, get } = await payerOf({ "/articles/*": article });
  site.faults.push(cut);
  assert.equal((await read(await get("/articles/1"))).text, "the article");
  const paid = site.log.filter((one) => one.paid);
  assert.equal(paid.length, 2);
  assert.deepEqual(paid[0].payload, paid[1].payload);
  assert.equal(site.charged(), 2);
});

test("a POST whose answer is lost is not sent again unasked; asked again it pays nothing new", async () => {
  const { site, get } = await payerOf({ "/order": { units: 3, serve: (_, response, { body }) => response.end(`got ${body}`) } });
  const order = (body) => get("/order", { method: "POST", body });
  await read(await order("first"));
  site.faults.push(cut);
  const lost = await order("second").catch((error) => error);
  assert.equal(lost.code, "unanswered");
  assert.match(lost.message, /may have been charged/);
  assert.equal(site.asked("/order", true), 2);
  assert.equal((await read(await order("another"))).text, "got another");
  assert.equal((await read(await order("second"))).text, "got second");
  const ids = site.log.filter((one) => one.paid && one.body === "second").map(({ payload }) => payload.id);
  assert.deepEqual(ids, [lost.paymentId, lost.paymentId]);
  assert.equal(site.charged(), 9);
});

test("what a proxy says in the place of an answer says nothing of the charge: asked again it is the same payment", async () => {
  const { site, get } = await payerOf({ "/articles/*": article });
  await read(await get("/articles/0"));
  const proxies = [400, 401, 403, 404, 408, 410, 413, 429, 451, 500, 502, 503, 504];
  for (const status of proxies) {
    const path = `/articles/behind-${status}`;
    site.faults.push({ after: (_, response) => response.writeHead(status, { "content-type": "text/html" }).end("<h1>Blocked</h1>") });
    assert.deepEqual(await read(await get(path)), { status, text: "<h1>Blocked</h1>" });
    // What it cost may have been charged: nobody else gets these units.
    assert.equal((await read(await get(`/articles/beside-${status}`))).text, "the article");
    const response = await get(path);
    assert.deepEqual([response.payment.units, await response.text()], [2, "the article"], String(status));
    const [first, second, ...more] = site.log.filter((one) => one.path === path).map(({ payload }) => payload);
    assert.deepEqual(first, second, String(status));
    assert.deepEqual(more, []);
  }
  assert.equal(site.charged(), 2 * (1 + 2 * proxies.length));
});

test("a failure that the server itself says costs nothing gives the units back", async () => {
  const { site, get } = await payerOf({ "/articles/*": { ...article, minUnits: 4 }, "/gone/*": { units: 2, charge: 0, minUnits: 4, serve: (_, response) => response.writeHead(404).end("no such page") } });
  for (let number = 0; number < 5; number += 1) assert.equal((await read(await get(`/gone/${number}`))).status, 404);
  const keys = new Set(site.log.flatMap(({ payload }) => payload?.key ?? []));
  assert.deepEqual([keys.size, site.charged()], [1, 0], "four units carry five requests");
});

test("a body that is cut off is asked for again with the same id", async () => {
  const { site, get } = await payerOf({ "/articles/*": article });
  await read(await get("/articles/0"));
  site.faults.push({
    after: (request, response, { header }) => {
      response.writeHead(200, { "payment-response": header, "content-length": 100_000 });
      response.write("x".repeat(1_000), () => response.destroy());
    },
  });
  const response = await get("/articles/1");
  assert.equal(response.status, 200);
  await assert.rejects(response.text());
  assert.equal((await read(await get("/articles/1"))).text, "the article");
  const [first, second] = site.log.filter((one) => one.path === "/articles/1").map(({ payload }) => payload.id);
  assert.equal(first, second);
  assert.equal(site.charged(), 4);
});

test("an answer that was had is not had again for nothing", async () => {
  const { site, get } = await payerOf({ "/articles/*": article });
  for (let times = 0; times < 3; times += 1) await read(await get("/articles/1"));
  assert.equal(site.charged(), 6);
  assert.equal(new Set(site.log.filter((one) => one.paid).map(({ payload }) => payload.id)).size, 3);
});

test("an answer whose body nobody reads is known to have come", async () => {
  const { site, get } = await payerOf({ "/order": { units: 1, serve: text("thanks") } });
  for (let times = 0; times < 3; times += 1) assert.equal((await get("/order", { method: "POST", body: "same" })).status, 200);
  assert.equal(new Set(site.log.filter((one) => one.paid).map(({ payload }) => payload.id)).size, 3);
});

test("who is busy is waited for, and who can't store is asked again: the same payment each time", async () => {
  const { site, get } = await payerOf({ "/articles/*": article });
  for (const code of ["in-progress", "in-progress", "paywall-unavailable"]) site.faults.push({ before: (request, response, { refuse }) => refuse(code) });
  assert.equal((await read(await get("/articles/1"))).text, "the article");
  const paid = site.log.filter((one) => one.paid);
  assert.equal(paid.length, 4);
  assert.equal(new Set(paid.map(({ payload }) => JSON.stringify(payload))).size, 1);
  assert.equal(site.charged(), 2);
});

test("a server that forgot the stream gets another one, once", async () => {
  const { site, client, get } = await payerOf({ "/articles/*": article });
  await read(await get("/articles/1"));
  for (const stream of site.streams.values()) stream.ended = true;
  assert.equal((await read(await get("/articles/2"))).text, "the article");
  assert.equal(client.calls.length, 2);
  assert.equal(site.charged(), 4);
});

test("a server that takes no stream at all ends in its code, and nothing goes on for ever", async () => {
  const { site, client, get } = await payerOf({ "/articles/*": article });
  for (let times = 0; times < 20; times += 1) site.faults.push({ before: (request, response, { refuse }) => refuse("stream-ended") });
  await assert.rejects(get("/articles/1"), { code: "stream-ended" });
  assert.equal(client.calls.length, 3);
  assert.equal(site.charged(), 0);
});

test("what a server says of another payment says nothing of this one", async () => {
  const { site, get } = await payerOf({ "/articles/*": article });
  const other = (header) => Buffer.from(Buffer.from(header, "base64").toString().replace(/"id":"0x(.)/, (_, first) => `"id":"0x${first === "0" ? 1 : 0}`)).toString("base64");
  site.faults.push({ after: (request, response, { sale, header }) => ((sale.charged = 0), response.writeHead(200, { "payment-response": other(header) }).end("text")) });
  const response = await get("/articles/1");
  assert.deepEqual([response.payment, await response.text()], [undefined, "text"]);
  assert.equal((await read(await get("/articles/2"))).text, "the article");
  assert.equal(site.log.at(-1).payload.from, 0);
});

test("a new stream may be unknown for a moment", async () => {
  const { site, client, get } = await payerOf({ "/articles/*": article });
  for (let times = 0; times < 3; times += 1) site.faults.push({ before: (request, response, { refuse }) => refuse("unknown-stream") });
  assert.equal((await read(await get("/articles/1"))).text, "the article");
  assert.equal(client.calls.length, 1);
});

test("a price that changed is paid within the limit, and not above it", async () => {
  const route = { ...article };
  const { site, get } = await payerOf({ "/articles/*": route });
  await read(await get("/articles/1"));
  route.units = 4;
  assert.equal((await read(await get("/articles/2"))).text, "the article");
  assert.equal(site.asked("/articles/2"), 2);
  route.units = 50;
  const dear = await get("/articles/3", { payment: { most: 10n * UNIT } }).catch((error) => error);
  assert.deepEqual([dear.code, dear.terms.amount], ["too-expensive", 50n * UNIT]);
  assert.equal(site.charged(), 6);
  route.units = 2;
  assert.equal((await read(await get("/articles/4"))).text, "the article");
});

test("a price of the unit that changed takes another stream", async () => {
  const { site, client, get } = await payerOf({ "/articles/*": article });
  await read(await get("/articles/1"));
  site.unitPrice = 2n * UNIT;
  assert.equal((await read(await get("/articles/2"))).text, "the article");
  assert.deepEqual(client.calls.map(({ unitPrice }) => unitPrice), [UNIT, 2n * UNIT]);
});

test("an interval that the server sold to somebody is passed over, and what that would show is bounded", async () => {
  const { site, client, get } = await payerOf({ "/articles/*": article });
  await read(await get("/articles/1"));
  const [stream] = site.streams.values();
  stream.sold.push({ from: 2, to: 4, id: "0x00", charged: 2 });
  assert.equal((await read(await get("/articles/2"))).text, "the article");
  assert.equal(client.calls.length, 1);
  assert.equal(site.log.at(-1).payload.from, 4);
  stream.sold.push({ from: 6, to: 90, id: "0x01", charged: 84 });
  assert.equal((await read(await get("/articles/3"))).text, "the article");
  assert.equal(client.calls.length, 2, "a stream of which so much is claimed is left, not shown");
  assert.ok(site.log.every(({ payload }) => !payload || payload.to <= 8));
});

test("no redirect carries a payment to another origin, and none follows it there", async () => {
  const other = await siteWith({ "/articles/*": article });
  const { site, get } = await payerOf({
    "/away": { units: 1, serve: (_, response) => response.writeHead(302, { location: `${other.url}/articles/1` }).end() },
    "/free": { serve: (_, response) => response.writeHead(302, { location: `${other.url}/articles/2` }).end() },
    "/paid-within": { units: 1, serve: (_, response) => response.writeHead(307, { location: "/articles/9" }).end() },
    "/within": { serve: (_, response) => response.writeHead(307, { location: "/articles/9" }).end() },
    "/articles/*": article,
  });
  await assert.rejects(get("/away"), { code: "unsupported" });
  assert.equal((await get("/free")).status, 402);
  assert.equal(other.log.length, 1);
  assert.ok(other.log.every(({ headers }) => headers["payment-signature"] === undefined));
  assert.equal((await read(await get("/within"))).text, "the article");
  assert.deepEqual([site.asked("/within", true), site.asked("/articles/9", true)], [1, 1]);
  await assert.rejects(get("/paid-within"), { code: "unsupported" });
  assert.equal((await get("/paid-within", { redirect: "manual" })).status, 307);
  await assert.rejects(get("/paid-within", { redirect: "error" }), TypeError);
});

test("a payment is for its method and URL", async () => {
  const { site, get } = await payerOf({ "/articles/*": article });
  await read(await get("/articles/1?b=2&a=1#below"));
  const { payload } = site.log.at(-1);
  const response = await fetch(`${site.url}/articles/2`, { headers: { "payment-signature": site.log.at(-1).headers["payment-signature"] } });
  assert.equal(response.status, 402);
  assert.equal(JSON.parse(Buffer.from(response.headers.get("payment-required"), "base64")).code, "wrong-resource");
  assert.equal(payload.to, 2);
});

test("a streamed body goes out once: refused with what to do, and paid at first the next time", async () => {
  const { site, get } = await payerOf({ "/upload": { units: 1, serve: (_, response, { body }) => response.end(`got ${body}`) } });
  const body = () => new ReadableStream({ start: (controller) => (controller.enqueue(new TextEncoder().encode("streamed")), controller.close()) });
  const gone = await get("/upload", { method: "POST", body: body() }).catch((error) => error);
  assert.equal(gone.code, "unrepeatable");
  assert.equal((await read(await get("/upload", { method: "POST", body: body() }))).text, "got streamed");
  assert.equal(site.asked("/upload"), 2);
  assert.equal(site.charged(), 1);
});

test("every kind of body is sent again as it was", async () => {
  const { site, fetch, get } = await payerOf({ "/echo": { units: 1, serve: (request, response, { body }) => response.end(`${request.headers["content-type"]?.split(";")[0]} ${body.length}`) } });
  const form = new FormData();
  form.set("a", "b");
  const bodies = [["text", "text/plain"], [new URLSearchParams({ a: "b" }), "application/x-www-form-urlencoded"], [new Blob(["blob"], { type: "image/png" }), "image/png"], [form, "multipart/form-data"]];
  for (const [body, type] of bodies) {
    site.routes["/echo"].units += 1;
    assert.match((await read(await get("/echo", { method: "POST", body }))).text, new RegExp(`^${type} [1-9]`));
  }
  site.routes["/echo"].units += 1;
  const request = new Request(`${site.url}/echo`, { method: "POST", body: "of a request", headers: { "content-type": "text/csv" } });
  assert.equal((await read(await fetch(request))).text, "text/csv 12");
});

test("a signal ends each wait, and what was sent is known again", async () => {
  const { site, get } = await payerOf({ "/slow": { units: 1, serve: () => {} }, "/busy": article });
  await assert.rejects(get("/slow", { signal: AbortSignal.abort(new Error("enough")) }), /enough/);
  assert.equal(site.log.length, 0);
  const controller = new AbortController();
  const sent = new Promise((done) => (site.routes["/slow"].serve = () => done()));
  const waiting = get("/slow", { signal: controller.signal });
  await sent;
  controller.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  site.routes["/slow"].serve = (_, response) => response.end("there");
  assert.equal((await read(await get("/slow"))).text, "there");
  assert.equal(site.charged(), 1);
  site.faults.push(...Array.from({ length: 30 }, () => ({ before: (request, response, { refuse }) => refuse("in-progress") })));
  const busy = new AbortController();
  const refused = get("/busy", { signal: busy.signal });
  while (site.asked("/busy", true) < 2) await new Promise((done) => setImmediate(done));
  busy.abort(new Error("enough of it"));
  await assert.rejects(refused, /enough of it/);
});

test("a server that does not answer in the time that it promised is not waited for", async () => {
  const { site, get } = await payerOf({ "/order": { units: 1, seconds: 1, serve: () => {} } });
  const lost = await get("/order", { method: "POST", body: "x" }).catch((error) => error);
  assert.equal(lost.code, "unanswered");
  assert.equal(site.asked("/order", true), 1);
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

/** An event stream that is paid by the tick: it tells one tick before it has to stop. */
function film(site, ticks) {
  const route = {
    units: 5,
    metered: true,
    serve(request, response, { sale }) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const session = { sales: [], used: 0, told: 0, pay: (one) => (session.sales.push(one), session.go()) };
      session.go = () => {
        const paid = () => session.sales.reduce((sum, { from, to }) => sum + to - from, 0);
        const place = (used) => session.sales.find(({ from, to }) => ((used -= to - from) <= 0 ? ((session.left = used + to - from), true) : false)) ?? session.sales.at(-1);
        const tell = (one, used, end) => response.write(`event: farthing\ndata: ${JSON.stringify({ key: one.key, id: one.id, from: one.from, paid: one.to, used, ...(end && { end }) })}\n\n`);
        while (session.used < Math.min(paid(), ticks)) {
          session.used += 1;
          response.write(`data: tick ${session.used}\n\n`);
          if (session.used < ticks && paid() - session.used === 1 && session.told !== paid()) {
            session.told = paid();
            const one = place(session.used);
            tell(one, one.from + session.left);
          }
        }
        if (session.used < ticks) return;
        let left = session.used;
        for (const one of session.sales) {
          one.charged = Math.min(left, one.to - one.from);
          left -= one.charged;
          tell(one, one.from + one.charged, true);
        }
        response.end();
      };
      site().sessions.set(sale.id, session);
      session.pay(sale);
    },
  };
  return route;
}

test("a film is paid as it runs, by further intervals, and what it did not use is used again", async () => {
  const { site, client, get, spending, told } = await payerOf({ "/film": film(() => open[0], 13), "/articles/*": article });
  const response = await get("/film");
  const { meter } = response.payment;
  const seen = await response.text();
  assert.equal(seen.match(/^data: tick/gm).length, 13);
  assert.deepEqual([meter.paid, meter.used, meter.error], [15, 13, undefined]);
  assert.equal(site.charged(), 13);
  assert.equal(told.reduce((sum, { units }) => sum + units, 0), 13);
  assert.equal((await read(await get("/articles/1"))).text, "the article");
  assert.equal(site.log.at(-1).payload.from, 13);
  assert.equal((await spending())[0].amount, 15n * UNIT);
  assert.equal(client.calls.length, 1);
});

test("a film that is paused is not paid, and goes on when it is wanted", async () => {
  const { site, get } = await payerOf({ "/film": film(() => open[0], 13) });
  const response = await get("/film");
  const { meter } = response.payment;
  meter.pause();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  while (!seen.includes("tick 5")) seen += (await reader.read()).value;
  assert.equal(site.asked("/film"), 2);
  assert.deepEqual([meter.paid, site.charged()], [5, 5]);
  meter.resume();
  for (let next; !(next = await reader.read()).done; ) seen += next.value;
  assert.match(seen, /tick 13/);
  assert.equal(site.charged(), 13);
});

test("further payments of a film that the server refuses are not counted, and said", async () => {
  const { site, get } = await payerOf({ "/film": film(() => open[0], 13), "/articles/*": article });
  const response = await get("/film");
  site.sessions.clear();
  const reader = response.body.getReader();
  const { meter } = response.payment;
  await reader.read();
  while (!meter.error) await new Promise((done) => setImmediate(done));
  assert.match(String(meter.error), /refused/);
  assert.equal(meter.paid, 5);
  await reader.cancel();
  await read(await get("/articles/1"));
  assert.equal(site.log.at(-1).payload.from, 5);
});

test("of several terms those are met that this client can meet, and again those of before", async () => {
  const { site, client, get } = await payerOf({ "/articles/*": article });
  await read(await get("/articles/0"));
  const plain = JSON.parse(Buffer.from((await fetch(`${site.url}/articles/1`)).headers.get("payment-required"), "base64")).accepts[0];
  site.others = [{ scheme: "exact", amount: "1" }, { ...plain, network: "eip155:1" }, { ...plain, extra: { ...plain.extra, hub: "https://elsewhere.example" } }];
  site.routes["/articles/*"] = { ...article, units: 3 };
  assert.equal((await read(await get("/articles/1"))).text, "the article");
  const other = fetching(client, { place: forgetful(), budget: { perRequest: { DAI: 9n * UNIT }, perSite: { DAI: 90n * UNIT }, perDay: { DAI: 90n * UNIT } } });
  assert.equal((await read(await other.fetch(`${site.url}/articles/2`))).text, "the article");
  assert.equal(client.calls.length, 2);
});

test("of the words that were paid few are kept, and any of them can be said again", async () => {
  let state;
  const inner = forgetful();
  const { site, get } = await payerOf({ "/articles/*": { ...article, minUnits: 1_000 } }, { place: (work) => inner((now) => work((state = now))) });
  // Two of the first that are never answered: they are asked for again when a hundred words are above theirs.
  await read(await get("/articles/0"));
  site.faults.push(cut, cut);
  const lost = await get("/articles/lost").catch((error) => error);
  assert.equal(lost.code, "unanswered");
  for (let number = 1; number <= 200; number += 1) await read(await get(`/articles/${number}`));
  assert.ok(state.held[0].marks.length <= 6, `${state.held[0].marks.length} words are kept`);
  assert.equal((await read(await get("/articles/lost"))).text, "the article");
  const [first, again] = site.log.filter(({ path, paid }) => path === "/articles/lost" && paid).map(({ payload }) => payload).filter((_, index, all) => index === 0 || index === all.length - 1);
  assert.deepEqual(again, first);
  assert.equal(site.charged(), 404);
});

test("options are checked before anything is asked", async () => {
  const { site, get, client } = await payerOf({ "/articles/*": article });
  await assert.rejects(get("/articles/1", { payment: { id: "0x12" } }), { code: "invalid-argument" });
  for (const budget of [null, 5, { perHour: 1n }, { perDay: 5 }, { perDay: -1n }, { perDay: { DAI: 1 } }, { ask: true }]) {
    assert.throws(() => fetching(client, { place: forgetful(), budget }), { code: "invalid-argument" });
  }
  assert.equal(site.log.length, 0);
});

test("an id of the application's is charged once, and means one request", async () => {
  const { site, get } = await payerOf({ "/articles/*": article });
  const payment = { id: `0x${"ab".repeat(16)}` };
  site.faults.push(cut, cut);
  await assert.rejects(get("/articles/1", { payment }), { code: "unanswered", paymentId: payment.id });
  await assert.rejects(get("/articles/2", { payment }), { code: "invalid-argument" });
  assert.equal((await read(await get("/articles/1", { payment }))).text, "the article");
  assert.equal(site.charged(), 2);
  assert.ok(site.log.filter((one) => one.paid).every(({ payload }) => payload.id === payment.id));
});

test("no word leaves before the spend is on the disk", async () => {
  let state = { v: 1, rev: 0, held: [], spends: [], routes: [] };
  const early = [];
  const place = async (work) => {
    const next = structuredClone(state);
    work(next);
    for (let turns = 0; turns < 50; turns += 1) await new Promise((done) => setImmediate(done));
    // What is being written now is not known to the server yet.
    const written = new Set(state.spends.map(({ id }) => id));
    for (const { id } of next.spends) if (!written.has(id) && site.log.some(({ payload }) => payload?.id === id)) early.push(id);
    state = next;
  };
  const { site, get } = await payerOf({ "/articles/*": article }, { place });
  for (let number = 0; number < 3; number += 1) await read(await get(`/articles/${number}`));
  assert.equal(site.charged(), 6);
  assert.deepEqual(early, []);
});

test("a store that can't be written pays nothing", async () => {
  const { site, get } = await payerOf({ "/articles/*": article }, { place: () => Promise.reject(new Error("disk full")) });
  await assert.rejects(get("/articles/1"), (error) => error.code === "storage-failed" && /disk full/.test(error.message));
  assert.equal(site.log.length, 0);
});

/** A process that pays, and is killed at a point. */
function child(...args) {
  const running = spawn(process.execPath, [fileURLToPath(new URL("../support/paying-child.mjs", import.meta.url)), ...args], { stdio: ["ignore", "pipe", "inherit"], env: process.env });
  let said = "";
  running.stdout.on("data", (data) => (said += data));
  const ended = new Promise((done) => running.on("exit", (code, signal) => done({ code, signal, said: said.trim() })));
  return { running, ended };
}

test("a process that is killed after the payment left goes on with the same id and interval", async () => {
  const site = await siteWith({ "/articles/*": article });
  const state = join(folder, "killed.sqlite");
  // Its streams are told to the site by the site's own door, since they are made in the other process.
  site.routes["/learn"] = { serve: (_, response, { body }) => (site.learn(JSON.parse(body, (name, value) => (name === "unitPrice" ? BigInt(value) : value))), response.end()) };
  site.routes["/slow"] = { units: 2, serve: () => killed.running.kill("SIGKILL") };
  const killed = child(site.url, state, "/slow");
  assert.equal((await killed.ended).signal, "SIGKILL");
  assert.equal(site.charged(), 2);
  site.routes["/slow"].serve = text("the film");
  const { said, code } = await child(site.url, state, "/slow").ended;
  assert.deepEqual([code, said], [0, `the film ${2n * UNIT}`]);
  assert.equal(site.charged(), 2);
  const [first, second] = site.log.filter((one) => one.path === "/slow" && one.paid).map(({ payload }) => JSON.stringify(payload));
  assert.equal(first, second);
});

test("what was spent is still known after a restart, and counts", async () => {
  const path = join(folder, "book.sqlite");
  const budget = { perRequest: { DAI: 3n * UNIT }, perSite: { DAI: 6n * UNIT }, perDay: { DAI: 100n * UNIT } };
  const store = await sqliteStore(path);
  const first = await payerOf({ "/articles/*": article }, { budget, place: stored(store) });
  for (let number = 0; number < 2; number += 1) await read(await first.get(`/articles/${number}`));
  await first.spending();
  await store.close();
  const again = await sqliteStore(path);
  const second = fetching(engine(() => open, { durable: first.client.durable }), { place: stored(again), budget });
  assert.equal((await second.spending())[0].amount, 4n * UNIT);
  await read(await second.fetch(`${first.site.url}/articles/3`));
  await assert.rejects(second.fetch(`${first.site.url}/articles/4`), { code: "over-limit" });
  assert.equal(first.site.charged(), 6);
  await again.close();
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

test("what was allowed and went to another request for the same is asked for again", async () => {
  const answers = [];
  const budget = { ...TIGHT, ask: () => new Promise((answer) => answers.push(answer)) };
  const inner = forgetful();
  let free = Infinity;
  let release;
  const place = async (work) => {
    if (free-- <= 0) await new Promise((resolve) => (release = resolve));
    await inner(work);
  };
  const until = async (there) => {
    for (let times = 0; times < 2_000 && !there(); times += 1) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  const { get } = await payerOf({ "/articles/*": article, "/dear/*": { units: 4, serve: text("dear") } }, { budget, place });
  await read(await get("/articles/1"));
  const first = get("/dear/1").then(read, ({ code }) => code);
  await until(() => answers.length === 1);
  // The second is about to take what the first is allowed.
  free = 1;
  const second = get("/dear/2").then(read);
  await until(() => release !== undefined);
  answers[0](true);
  await new Promise((resolve) => setTimeout(resolve, 10));
  free = Infinity;
  release();
  assert.equal((await second).text, "dear");
  await Promise.race([until(() => answers.length === 2), first]);
  answers[1]?.(false);
  assert.equal(await first, "over-limit");
});
