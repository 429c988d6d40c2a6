// What a request gets: the order of checks and their codes, what is charged, and what every answer wears.

import assert from "node:assert/strict";
import { test } from "node:test";
import { packageFile } from "../support/env.mjs";
import { ORIGIN, PAYEE, Payer, SITE, TOKEN, UNIT, answerOf, encode, opened, requiredOf } from "../support/paying.mjs";

const hello = () => new Response("hello", { headers: { "content-type": "text/plain", "cache-control": "public, max-age=60" } });

/** A request, and what came of it. */
const ask = (route, headers = {}, { path = "/", method = "GET", handler = hello } = {}) => route.handle(new Request(`http://10.0.0.7:8080${path}`, { method, headers }), handler);
/** One that is read to its end, and its status. */
const got = async (...asked) => {
  const response = await ask(...asked);
  await response.text();
  return response.status;
};
const codeOf = async (response) => (await response.json()).error.code;

test("who does not pay is told what it costs, and by a page if it is a person", async (t) => {
  const { wall } = await opened(t, { wallet: "https://wallet.example/", title: "The Farthing Post" });
  const route = wall.route({ price: 2n * UNIT, description: "An article" });
  const response = await ask(route);
  assert.equal(response.status, 402);
  const { terms, resource } = requiredOf(response);
  assert.deepEqual(terms, [{ network: SITE.network, asset: TOKEN, amount: 2n * UNIT, payTo: PAYEE, maxTimeoutSeconds: 60, hub: SITE.hub, contract: SITE.contract, unitPrice: UNIT, units: 2, minUnits: 100, symbol: "DAI", decimals: 18, wallet: "https://wallet.example/" }]);
  assert.deepEqual(resource, { url: `${ORIGIN}/`, description: "An article" });
  assert.equal(await codeOf(response), "payment-required");
  assert.equal(response.headers.get("cache-control"), "private, no-store");
  assert.match(response.headers.get("vary"), /PAYMENT-SIGNATURE/);

  const page = await ask(route, { accept: "text/html,application/xhtml+xml,*/*;q=0.8" });
  assert.equal(page.status, 402);
  assert.equal(requiredOf(page).terms.length, 1);
  const html = await page.text();
  for (const wanted of ["0.002 DAI", "The Farthing Post", "https://wallet.example/", "prefers-color-scheme: dark", "width=device-width"]) assert.ok(html.includes(wanted), wanted);
  assert.ok(!html.includes("<script"));
  assert.match((await ask(route, { accept: "application/json, text/html;q=0.5" })).headers.get("content-type"), /json/);
});

test("a payment is answered and charged once, and says so", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: 2n * UNIT });
  const { headers, payment } = await payer.pays({ units: 2 });
  const response = await ask(route, { ...headers, origin: "https://other.example" });
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "hello");
  const answer = answerOf(response);
  assert.equal(answer.amount, 2n * UNIT);
  assert.equal(answer.charged, 2);
  assert.equal(answer.id, payment.id);
  assert.equal(response.headers.get("cache-control"), "private, no-store");
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  assert.match(response.headers.get("access-control-expose-headers"), /PAYMENT-RESPONSE/);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 2]]);
  // The same again costs nothing more.
  const second = await ask(route, headers);
  assert.equal(await second.text(), "hello");
  assert.equal(answerOf(second).charged, 2);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 2]]);
});

test("each refusal has its code, and charges nothing", async (t) => {
  const [payer, poor, eth, late] = [new Payer(), new Payer({ units: 1 }), new Payer({ token: `0x${"0".repeat(40)}` }), new Payer({ expiresIn: 50 })];
  const { wall, store } = await opened(t, { payers: [payer, poor, eth, late] });
  const route = wall.route({ price: 2n * UNIT });
  const sold = await payer.pays({ from: 10, units: 2 });
  assert.equal(await got(route, sold.headers), 200);
  const refused = async (wanted, payment, how) => {
    const response = await ask(route, typeof payment === "string" ? { "payment-signature": payment } : { "payment-signature": encode(await payment) }, how);
    assert.equal(await codeOf(response), wanted);
    assert.equal(response.status, { "bad-payment": 400, "id-reused": 409 }[wanted] ?? 402, wanted);
    assert.equal(requiredOf(response).code, wanted);
    return requiredOf(response);
  };
  const next = (changed) => payer.payment({ from: 20, units: 2, ...changed });
  await refused("bad-payment", "no base64");
  await refused("bad-payment", encode(await next()).repeat(40));
  await refused("bad-payment", Buffer.from(JSON.stringify({ x402Version: 2, accepted: {}, payload: {} })).toString("base64"));
  await refused("unknown-stream", new Payer().payment({ units: 2 }));
  await refused("wrong-terms", next({ payTo: TOKEN }));
  await refused("wrong-terms", next({ network: "eip155:1" }));
  await refused("wrong-terms", next({ asset: PAYEE }));
  await refused("wrong-terms", eth.payment({ units: 2 }));
  await refused("wrong-resource", next({ url: "/other" }));
  await refused("wrong-resource", next({ method: "POST" }));
  await refused("wrong-resource", next(), { path: "/?utm=1" });
  await refused("bad-word", next({ word: payer.word(21) }));
  await refused("bad-word", next({ word: `0x${"07".repeat(65)}` }));
  await refused("bad-word", next({ from: 99, to: 101, word: payer.word(100) }));
  await refused("price-changed", next({ to: 21, word: payer.word(21) }));
  const { stream } = await refused("interval-spent", next({ from: 11, to: 13, word: payer.word(13) }));
  assert.deepEqual(stream, { key: payer.key, spent: [[10, 12]] });
  await refused("interval-spent", next({ from: 8, to: 30, word: payer.word(30) }));
  await refused("id-reused", next({ id: sold.payment.id }));
  await refused("id-reused", payer.payment({ from: 10, units: 2, id: sold.payment.id, url: "/b" }), { path: "/b" });
  await refused("stream-ended", late.payment({ units: 2 }));
  await store.rows.endStream(payer.key, Date.now());
  await refused("stream-ended", next());
  // Also after its end, the same id gets what it has paid for.
  assert.equal((await ask(route, sold.headers)).status, 200);
  assert.deepEqual(await store.rows.spent(payer.key), [[10, 12]]);
  assert.deepEqual(await store.rows.spent(late.key), []);
});

test("what is spent is told in a header that stays small, and leaves nothing out", async (t) => {
  const payer = new Payer({ units: 2_000 });
  const { wall, store } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: UNIT });
  const all = await Promise.all(Array.from({ length: 400 }, async (_, at) => got(route, (await payer.pays({ from: at * 3 + (at % 7 === 0 ? 1 : 0), units: 1 })).headers)));
  assert.ok(all.every((status) => status === 200));
  const response = await ask(route, (await payer.pays({ from: 3, units: 1 })).headers);
  const { spent } = requiredOf(response).stream;
  assert.equal(spent.length, 200);
  assert.ok(response.headers.get("payment-required").length < 8_000);
  for (const [from, to] of await store.rows.spent(payer.key)) assert.ok(spent.some(([low, high]) => low <= from && to <= high), `${from}-${to}`);
  assert.ok(spent.every(([low, high], at) => low < high && (at === 0 || spent[at - 1][1] < low)));
});

test("a word below the best, above it and beside it: only the chain's own prove", async (t) => {
  const payer = new Payer({ units: 300 });
  const { wall } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: UNIT });
  const status = async (from, to, word) => got(route, { "payment-signature": encode(await payer.payment({ from, to, word })) });
  const bent = (word) => `${word.slice(0, -1)}${word.endsWith("0") ? "1" : "0"}`;
  for (const [from, to] of [[99, 100], [10, 11], [97, 98], [199, 200], [150, 151], [0, 1], [299, 300]]) {
    assert.equal(await status(from, to, bent(payer.word(to))), 402, `bent ${to}`);
    assert.equal(await status(from, to, payer.word(to - 1)), 402, `below ${to}`);
    assert.equal(await status(from, to, payer.word(to)), 200, `${to}`);
  }
});

test("a wrong word comes before the price, and the price before what is spent", async (t) => {
  const payer = new Payer();
  const { wall } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: 2n * UNIT });
  await ask(route, (await payer.pays({ units: 2 })).headers);
  const one = await payer.payment({ from: 1, units: 1 });
  assert.equal(await codeOf(await ask(route, { "payment-signature": encode({ ...one, word: payer.word(5), payTo: PAYEE }) })), "bad-word");
  assert.equal(await codeOf(await ask(route, { "payment-signature": encode(one) })), "price-changed");
});

test("the URL is the site's own, whatever the request says of its host", async (t) => {
  const payer = new Payer();
  const { wall } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: UNIT });
  for (const [path, url] of [["//evil.example/x", `${ORIGIN}//evil.example/x`], ["/a?b=c", `${ORIGIN}/a?b=c`], ["/%7Ea", `${ORIGIN}/%7Ea`]]) {
    assert.equal(route.urlOf(path), url);
  }
  assert.equal(route.urlOf("http://evil.example/x?y"), `${ORIGIN}/x?y`);
  assert.equal((await ask(route, { host: "evil.example", "x-forwarded-host": "evil.example", ...(await payer.pays({ url: "/a" })).headers }, { path: "/a" })).status, 200);
});

test("only what was served is charged", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: 4n * UNIT });
  const run = async (handler, how) => {
    const { headers, payment } = await payer.pays({ units: 4 });
    return { response: await ask(route, headers, { handler, ...how }), headers, payment };
  };
  const failed = await run(() => new Response("no", { status: 500 }));
  assert.equal(failed.response.status, 500);
  assert.equal(answerOf(failed.response).charged, 0);
  assert.equal(answerOf(failed.response).amount, 0n);
  assert.deepEqual(await store.rows.spent(payer.key), []);
  // The same id buys it again.
  assert.equal(answerOf(await ask(route, failed.headers)).charged, 4);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 4]]);

  await assert.rejects(run(() => { throw new Error("a fault of the handler"); }), /a fault of the handler/);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 4]]);

  const more = await payer.pays({ from: 60, units: 9 });
  assert.equal(answerOf(await ask(route, more.headers)).charged, 4);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 4], [60, 64]]);
  payer.place = 8;

  const less = await run((_, payment) => (payment.charge(1), new Response("a quarter")));
  assert.equal(answerOf(less.response).charged, 1);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 4], [8, 9], [60, 64]]);
  // What is left may be spent by another id.
  assert.equal((await ask(route, (await payer.pays({ from: 9, units: 4 })).headers)).status, 200);

  for (const status of [204, 302, 404]) {
    const { response } = await run(() => new Response(null, { status }));
    assert.equal(response.status, status);
    assert.equal(answerOf(response).charged, status === 204 ? 4 : 0, String(status));
  }
  for (const units of [-1, 5, 0.5, "1"]) await assert.rejects(run((_, payment) => payment.charge(units)), { code: "invalid-argument" });
});

test("a body that breaks is not charged, one whose reader leaves is", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: UNIT });
  const parts = (end) => new Response(new ReadableStream({ pull: (controller) => (controller.enqueue(new TextEncoder().encode("part")), end(controller)) }, { highWaterMark: 0 }));
  const broken = await ask(route, (await payer.pays()).headers, { handler: () => parts((controller) => controller.error(new Error("disk"))) });
  await assert.rejects(broken.text(), /disk/);
  assert.deepEqual(await store.rows.spent(payer.key), []);
  const left = await ask(route, (await payer.pays()).headers, { handler: () => parts(() => {}) });
  const reader = left.body.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "part");
  await reader.cancel();
  await store.rows.session("0x");
  assert.deepEqual(await store.rows.spent(payer.key), [[1, 2]]);
});

test("while it is served the same id waits, and another that overlaps is refused", async (t) => {
  const payer = new Payer();
  const { wall } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: UNIT });
  const { headers } = await payer.pays();
  let go;
  const first = ask(route, headers, { handler: () => new Promise((resolve) => (go = () => resolve(hello()))) });
  while (go === undefined) await new Promise(setImmediate);
  const second = await ask(route, headers);
  assert.equal(second.status, 409);
  assert.equal(second.headers.get("retry-after"), "1");
  assert.equal(await codeOf(second), "in-progress");
  assert.equal(await codeOf(await ask(route, (await payer.pays({ from: 0, units: 1 })).headers)), "interval-spent");
  go();
  assert.equal(await (await first).text(), "hello");
  assert.equal((await ask(route, headers)).status, 200);
});

test("what could do harm twice runs once, and its answer is kept", async (t) => {
  const payer = new Payer();
  const { wall } = await opened(t, { payers: [payer], keep: { bytes: 100 } });
  const route = wall.route({ price: UNIT });
  let runs = 0;
  const post = (headers, body = "made") => ask(route, headers, { method: "POST", handler: () => new Response(`${body} ${(runs += 1)}`, { status: 201, headers: { location: "/new", "set-cookie": "a=b" } }) });
  const { headers } = await payer.pays({ method: "POST" });
  const first = await post(headers);
  assert.equal(await first.text(), "made 1");
  const second = await post(headers);
  assert.deepEqual([second.status, await second.text(), second.headers.get("location"), second.headers.get("set-cookie")], [201, "made 1", "/new", null]);
  assert.equal(answerOf(second).charged, 1);
  assert.equal(runs, 1);
  // Too large to be kept: the handler again.
  const large = (await payer.pays({ method: "POST" })).headers;
  assert.equal((await (await post(large, "x".repeat(200))).text()).length, 202);
  assert.equal((await (await post(large, "x".repeat(200))).text()).length, 202);
  assert.equal(runs, 3);
});

test("the same id goes on so often and no more", async (t) => {
  const payer = new Payer();
  const { wall } = await opened(t, { payers: [payer], again: { times: 3 } });
  const route = wall.route({ price: UNIT });
  const { headers } = await payer.pays();
  for (let time = 0; time < 4; time += 1) assert.equal(await got(route, headers), 200, String(time));
  assert.equal(await codeOf(await ask(route, headers)), "interval-spent");
});

test("free is what the site says, and no shared cache keeps it", async (t) => {
  const { wall } = await opened(t);
  const route = wall.route({ price: UNIT, free: (request) => request.headers.get("cookie") === "subscriber" });
  const free = await ask(route, { cookie: "subscriber" });
  assert.equal(free.status, 200);
  assert.equal(free.headers.get("payment-response"), null);
  assert.equal(free.headers.get("cache-control"), "private, no-store");
  assert.equal((await ask(route)).status, 402);
  const dynamic = wall.route({ price: (request) => (request.url.endsWith("/free") ? 0n : UNIT + 1n) });
  const open = await ask(dynamic, {}, { path: "/free" });
  assert.equal(open.headers.get("cache-control"), "public, max-age=60");
  // A function's price is rounded up to whole units.
  assert.equal(requiredOf(await ask(dynamic)).terms[0].units, 2);
});

test("a preflight costs nothing, and names our headers", async (t) => {
  const { wall } = await opened(t, { cors: ["https://reader.example"] });
  const route = wall.route({ price: UNIT });
  const preflight = (origin) => ask(route, { origin, "access-control-request-method": "GET", "access-control-request-headers": "payment-signature,content-type,x-own" }, { method: "OPTIONS" });
  const allowed = await preflight("https://reader.example");
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get("access-control-allow-headers"), "PAYMENT-SIGNATURE, PAYMENT-SESSION, content-type");
  assert.equal(allowed.headers.get("access-control-allow-origin"), "https://reader.example");
  assert.equal((await preflight("https://evil.example")).headers.get("access-control-allow-origin"), null);
  const refused = await ask(route, { origin: "https://reader.example" });
  assert.equal(refused.status, 402);
  assert.equal(refused.headers.get("access-control-allow-origin"), "https://reader.example");
  assert.match(refused.headers.get("access-control-expose-headers"), /PAYMENT-REQUIRED/);
  assert.match(refused.headers.get("vary"), /Origin/);
  const plain = await ask(route, {}, { method: "OPTIONS" });
  assert.equal(await plain.text(), "hello");
});

test("a store that fails is told as such, and the same id goes on", async (t) => {
  const payer = new Payer();
  const { wall, store, errors } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: UNIT });
  const { headers } = await payer.pays();
  await ask(route);
  const { run } = store.rows;
  store.rows.run = () => Promise.reject(new Error("disk full"));
  const refused = await ask(route, headers);
  assert.equal(refused.status, 503);
  assert.equal(await codeOf(refused), "paywall-unavailable");
  assert.match(errors[0].message, /disk full/);
  store.rows.run = run;
  assert.equal((await ask(route, headers)).status, 200);
});

test("a stream that is a moment late is waited for", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t);
  const route = wall.route({ price: UNIT });
  const { stream } = store.rows;
  store.rows.stream = async (key) => {
    const found = await stream.call(store.rows, key);
    // The till comes between the first look and the second.
    if (found === undefined) await store.rows.putStream(payer.stream());
    return found;
  };
  assert.equal((await ask(route, (await payer.pays()).headers)).status, 200);
});

test("a flood of unknown keys is not waited for, and costs one look each", async (t) => {
  const { wall, store } = await opened(t);
  const route = wall.route({ price: UNIT });
  const { stream } = store.rows;
  let looks = 0;
  store.rows.stream = (key) => ((looks += 1), stream(key));
  const stranger = await new Payer().payment();
  const flood = Array.from({ length: 1_000 }, (_, at) => ask(route, { "payment-signature": encode({ ...stranger, key: `0x${at.toString(16).padStart(64, "0")}` }) }));
  const codes = await Promise.all(flood.map(async (response) => codeOf(await response)));
  assert.ok(codes.every((code) => code === "unknown-stream"));
  assert.ok(looks <= 1_000 + 256 * 6, String(looks));
});

test("another scheme's payment goes to who knows it", async (t) => {
  const offer = { scheme: "exact", network: "eip155:8453", amount: "1", asset: "0x1", payTo: "0x2", maxTimeoutSeconds: 60 };
  const taken = [];
  const { wall } = await opened(t, { others: [{ scheme: "exact", offer, take: async (_, payment) => (taken.push(payment), { paid: payment.payload === "good", headers: { "PAYMENT-RESPONSE": "theirs" } }) }] });
  const route = wall.route({ price: UNIT });
  const theirs = (payload) => ({ "payment-signature": Buffer.from(JSON.stringify({ x402Version: 2, accepted: { scheme: "exact" }, payload })).toString("base64") });
  const required = JSON.parse(Buffer.from((await ask(route)).headers.get("payment-required"), "base64"));
  assert.deepEqual(required.accepts.map(({ scheme }) => scheme), ["farthing", "exact"]);
  const good = await ask(route, theirs("good"));
  assert.deepEqual([good.status, good.headers.get("payment-response"), good.headers.get("cache-control")], [200, "theirs", "private, no-store"]);
  assert.equal((await ask(route, theirs("bad"))).status, 402);
  assert.equal(taken.length, 2);
});

test("what a site gets wrong is refused when the route is made", async (t) => {
  const { wall } = await opened(t);
  const { paywall } = await packageFile("paywall/index.mjs");
  for (const options of [
    {}, null, { price: 1 }, { price: -1n }, { price: UNIT + 1n }, { price: UNIT * 20_000n }, { price: { perByte: 0n } }, { price: { perByte: 1n, perSecond: 1n } }, { price: { used: false } },
    { price: UNIT, prise: 1 }, { price: UNIT, unitPrice: 0n }, { price: UNIT, free: true }, { price: { perSecond: 1n }, first: 0 },
  ]) assert.throws(() => wall.route(options), { code: "invalid-argument" }, String(options && Object.keys(options)));
  const good = { store: wall.ledger, origin: ORIGIN, asset: "DAI", unitPrice: UNIT };
  for (const options of [undefined, { ...good, store: "x" }, { ...good, origin: "news" }, { ...good, origin: `${ORIGIN}/path` }, { ...good, asset: 1 }, { ...good, unitPrice: 1 }, { ...good, cors: "https://a" }, { ...good, margin: 0 }, { ...good, orgin: 1 }, { ...good, site: {} }]) {
    await assert.rejects(paywall(options), { code: "invalid-argument" });
  }
});
