// The paywall on a real engine, hub and node: words that readers show become money that can be withdrawn, through restarts.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { clientsOf } from "../support/clients.mjs";
import { packageFile } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

const { paywall, recover, report, sqlite, verifyReceipt } = await packageFile("paywall/index.mjs");
const { RESPONSE, SIGNATURE, bindOf, decodeAnswer, decodeRequired, encodePayment } = await packageFile("pay/scheme.mjs");

const ORIGIN = "https://news.example";
const PRICE = 1_000n;

let world;
const folder = mkdtempSync(join(tmpdir(), "farthing-paywall-"));
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
});
after(async () => {
  await disconnectAll();
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The first time that `read` gives something, looking at each payment's change. */
async function until(client, read) {
  for (;;) {
    const changed = new Promise((resolve) => {
      const off = client.on("payment", () => (off(), resolve()));
    });
    const found = await read();
    if (found) return found;
    await changed;
  }
}

const eth = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH");

async function buy(route, terms, stream, units) {
  const id = `0x${randomBytes(16).toString("hex")}`;
  const interval = typeof units === "number" ? stream.pay(units) : units;
  const payment = { network: terms.network, asset: terms.asset, payTo: terms.payTo, key: stream.key, ...interval, id, bind: await bindOf(id, "GET", `${ORIGIN}/a`) };
  const response = await route.handle(new Request("http://10.1.1.1/a", { headers: { [SIGNATURE]: encodePayment(payment) } }), () => new Response("text"));
  await response.text();
  return response;
}

for (const condition of ["hash-chain", "voucher"]) {
  test(`${condition}: an article is paid by a word, and the words become money`, async () => {
    const [alice, bob] = [await world.account(), await world.account()];
    const payer = await local(alice);
    const store = join(folder, `payee-${condition}.sqlite`);
    let payee = await local(bob, { store });
    await payer.deposit({ asset: "ETH", amount: 1_000_000n });
    const path = join(folder, `${condition}.db`);
    const open = async () => {
      const errors = [];
      const wall = await paywall({ client: payee, store: sqlite(path), origin: ORIGIN, asset: "ETH", unitPrice: PRICE, onError: (error) => errors.push(error) });
      return { wall, errors, route: wall.route({ name: "article", price: 2n * PRICE }) };
    };
    let site = await open();
    const asked = await site.route.handle(new Request("http://10.1.1.1/a"), () => new Response("text"));
    const [terms] = decodeRequired(asked.headers.get("payment-required")).terms;
    assert.equal(terms.payTo, payee.info.address.toLowerCase());
    const stream = await payer.stream({ to: terms.payTo, asset: terms.symbol, unitPrice: terms.unitPrice, units: terms.minUnits, condition });

    const first = await buy(site.route, terms, stream, 2);
    assert.equal(first.status, 200);
    const { receipt } = decodeAnswer(first.headers.get(RESPONSE));
    const { chainId, contract } = payee.info;
    const sold = await verifyReceipt(receipt, { recover, chainId, contract, payee: terms.payTo });
    assert.deepEqual([sold.charged, sold.url, sold.unitPrice], [2, `${ORIGIN}/a`, PRICE]);
    await assert.rejects(verifyReceipt(receipt, { recover, chainId: chainId + 1, contract }), { code: "bad-receipt" });
    for (let time = 0; time < 10; time += 1) assert.equal((await buy(site.route, terms, stream, 2)).status, 200);
    await site.wall.close();
    await payee.disconnect();

    payee = await local(bob, { store });
    site = await open();
    assert.equal((await buy(site.route, terms, stream, 2)).status, 200);
    const spent = await buy(site.route, terms, stream, { from: 1, to: 3, word: stream.pay(1).word });
    assert.equal(spent.status, 402);
    // The payer wants the rest back: the till shows what was sold, and no more.
    await stream.end();
    const payment = await until(payer, async () => (await payer.payments()).find(({ id, status }) => id === stream.id && status === "completed"));
    assert.equal(payment.amount, 24n * PRICE);
    assert.equal((await eth(payer)).available, 1_000_000n - 24n * PRICE);
    await until(payee, async () => (await eth(payee)).available === 24n * PRICE);
    // A charge is written down behind the answer.
    let told;
    do told = await report({ store: site.wall.ledger, client: payee });
    while (told.routes[0].open > 0 && (await new Promise((resolve) => setTimeout(resolve, 20, true))));
    assert.deepEqual(told.routes.map(({ route, requests, open: left, income }) => [route, requests, left, income]), [["article", 12, 0, 24n * PRICE]]);
    const engine = told.engine.assets.find(({ asset }) => asset === "ETH");
    assert.deepEqual([engine.redeemed, engine.withdrawable], [24n * PRICE, 24n * PRICE]);
    assert.equal((await buy(site.route, terms, stream, { from: 50, to: 52, word: `0x${"00".repeat(32)}` })).status, 402);
    assert.deepEqual(site.errors, []);
    await site.wall.close();
  });
}

test("a fetch that pays, at a site that sells: one round trip each, parallel, metered, and after the server's restart", async (t) => {
  const [alice, bob] = [await world.account(), await world.account()];
  const [payer, payee] = [await local(alice), await local(bob)];
  await payer.deposit({ asset: "ETH", amount: 10_000_000n });
  let requests = 0;
  const failures = [];
  let routes;
  let running = 0;
  const server = createServer((req, res) => {
    requests += 1;
    running += 1;
    res.on("close", () => (running -= 1));
    const [route, serve] = routes(req.url);
    route(req, res, (error) => (error ? res.writeHead(500).end() : serve(req, res)));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${server.address().port}`;
  const open = async () => {
    const wall = await paywall({ client: payee, store: sqlite(join(folder, "fetch.db")), origin, asset: "ETH", unitPrice: PRICE, minUnits: 600, onError: (error) => failures.push(error) });
    const article = wall.route({ name: "article", price: 2n * PRICE }).express();
    const score = wall.route({ name: "score", price: { used: true }, first: 4, margin: 2 }).express();
    routes = (url) => (url.startsWith("/score") ? [score, play] : [article, (req, res) => res.end(`read ${req.url}`)]);
    return wall;
  };
  const play = async (req, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    for (let move = 0; move < 20; move += 1) {
      await req.payment.use(PRICE);
      res.write(`data: ${move}\n\n`);
    }
    res.end();
  };
  /** As a server does that restarts: nobody new comes in, and who is there is served to the end. */
  const stop = async () => {
    routes = () => [(req, res) => res.writeHead(503).end()];
    while (running > 0) await new Promise((resolve) => setImmediate(resolve));
    await wall.close();
  };
  let wall = await open();
  const pays = (path) => payer.fetch(origin + path);
  const first = await pays("/a/0");
  assert.equal(await first.text(), "read /a/0");
  assert.equal(requests, 2);
  for (let at = 1; at <= 20; at += 1) assert.equal(await (await pays(`/a/${at}`)).text(), `read /a/${at}`);
  await Promise.all(Array.from({ length: 16 }, async (_, at) => assert.equal(await (await pays(`/b/${at}`)).text(), `read /b/${at}`)));
  const before = requests;
  const film = await (await pays("/score")).text();
  for (let move = 0; move < 20; move += 1) assert.ok(film.includes(`data: ${move}\n`), String(move));
  assert.ok(requests > before + 1);
  await stop();
  wall = await open();
  assert.equal(await (await pays("/c")).text(), "read /c");
  let told;
  // The last is settled a moment after its answer.
  do told = (await report({ store: wall.ledger })).routes;
  while (told.some(({ open: left }) => left > 0));
  const sums = Object.fromEntries(told.map(({ route, requests: paid, income, open: left }) => [route, { paid, income, left }]));
  assert.deepEqual(sums.article.income, BigInt(sums.article.paid) * 2n * PRICE);
  assert.deepEqual([sums.article.paid, sums.article.left, sums.score.income, sums.score.left], [38, 0, 20n * PRICE, 0]);
  assert.deepEqual(failures, []);
  await stop();
  server.closeAllConnections();
  server.close();
});
