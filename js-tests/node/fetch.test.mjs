// `fetch` that pays, against a real server that counts: one round trip for each request, and what is sent to whom.

import assert from "node:assert/strict";
import { test } from "node:test";
import { UNIT, article, fetching, forgetful, payerOf, read, siteWith, text } from "../support/fetching.mjs";

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

test("options are checked before anything is asked", async () => {
  const { site, get, client } = await payerOf({ "/articles/*": article });
  await assert.rejects(get("/articles/1", { payment: { id: "0x12" } }), { code: "invalid-argument" });
  for (const budget of [null, 5, { perHour: 1n }, { perDay: 5 }, { perDay: -1n }, { perDay: { DAI: 1 } }, { ask: true }]) {
    assert.throws(() => fetching(client, { place: forgetful(), budget }), { code: "invalid-argument" });
  }
  assert.equal(site.log.length, 0);
});
