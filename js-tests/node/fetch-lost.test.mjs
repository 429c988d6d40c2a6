// `fetch` that pays where answers, streams, stores and processes are lost: never twice for one answer.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { packageFile } from "../support/env.mjs";
import { UNIT, article, cut, fetching, forgetful, open, payerOf, read, siteWith, stored, text } from "../support/fetching.mjs";
import { engine } from "../support/paid-site.mjs";

const { sqliteStore } = await packageFile("store/sqlite.mjs");
const folder = mkdtempSync(join(tmpdir(), "farthing-fetch-"));
after(() => rmSync(folder, { recursive: true, force: true }));

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

test("a request that is refused keeps no other one's stream from being followed", async () => {
  const { site, client, get } = await payerOf({ "/articles/*": { ...article, minUnits: 40 } });
  for (let number = 0; number < 13; number += 1) await read(await get(`/articles/${number}`));
  const payment = { id: `0x${"ab".repeat(16)}` };
  site.faults.push(cut, cut);
  await assert.rejects(get("/articles/lost", { payment }), { code: "unanswered" });
  assert.equal(client.calls.length, 1);
  // The next stream is due with one of these; the id of the others is another request's.
  const wrong = () => get("/articles/13", { payment });
  const all = await Promise.allSettled([wrong(), wrong(), get("/articles/14").then(read), wrong(), wrong(), wrong()]);
  assert.deepEqual(all.map(({ status, reason }) => reason?.code ?? status), ["invalid-argument", "invalid-argument", "fulfilled", ...Array(3).fill("invalid-argument")]);
  for (let turns = 0; turns < 1_000 && client.calls.length < 2; turns += 1) await new Promise((done) => setImmediate(done));
  assert.equal(client.calls.length, 2);
});
