// Reader and site as they are meant: `client.fetch` against the package's own paywall, over real engines, a hub and a node.
// What was charged is what moved, to the unit, and both sides' books agree.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { clientsOf } from "../support/clients.mjs";
import { packageFile } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

const { paywall, sqlite } = await packageFile("paywall/index.mjs");
const PRICE = 1_000n;
const BUDGET = { perRequest: { ETH: 50n * PRICE }, perSite: { ETH: 900n * PRICE }, perDay: { ETH: 900n * PRICE } };

let world;
const folder = mkdtempSync(join(tmpdir(), "farthing-content-"));
const { local, disconnectAll } = clientsOf(() => world);
const closing = [];

before(async () => {
  world = await createWorld();
});
after(async () => {
  for (const close of closing.splice(0)) await close();
  await disconnectAll();
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const eth = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH");

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

/** A site of the payee's: what is asked of it is counted. */
async function siteOf(payee, name, handle) {
  const log = [];
  let serve;
  const server = createServer(async (request, response) => {
    const url = `http://127.0.0.1:${server.address().port}${request.url}`;
    log.push({ method: request.method, path: request.url, paid: "payment-signature" in request.headers });
    const answer = await serve(new Request(url, { method: request.method, headers: request.headers, ...(request.method === "POST" && { body: Readable.toWeb(request), duplex: "half" }) }));
    response.writeHead(answer.status, [...answer.headers].flat());
    if (!answer.body) return response.end();
    return Readable.fromWeb(answer.body).on("error", () => response.destroy()).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const errors = [];
  const wall = await paywall({ client: payee, store: sqlite(join(folder, `${name}.db`)), origin, asset: "ETH", unitPrice: PRICE, onError: (error) => errors.push(error) });
  serve = handle(wall);
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await wall.close();
  };
  closing.push(close);
  return { origin, log, errors, wall };
}

test("articles, sixteen at once, and a restart: what was charged is what moved", async () => {
  const [alice, bob] = [await world.account(), await world.account()];
  const store = join(folder, "alice.sqlite");
  let payer = await local(alice, { store, budget: BUDGET });
  const payee = await local(bob);
  await payer.deposit({ asset: "ETH", amount: 10_000_000n });
  const { origin, log, errors } = await siteOf(payee, "articles", (wall) => {
    const article = wall.route({ name: "article", price: 2n * PRICE });
    return (request) => article.handle(request, ({ url }) => new Response(`served ${new URL(url).pathname}`));
  });
  const read = async (path) => (await payer.fetch(`${origin}${path}`)).text();
  assert.equal(await read("/articles/1"), "served /articles/1");
  assert.equal(await read("/articles/2"), "served /articles/2");
  assert.deepEqual(log.map(({ path, paid }) => [path, paid]), [["/articles/1", false], ["/articles/1", true], ["/articles/2", true]]);
  const many = await Promise.all(Array.from({ length: 16 }, (_, number) => read(`/articles/at-once-${number}`)));
  assert.ok(many.every((text, number) => text === `served /articles/at-once-${number}`));
  assert.equal((await payer.payments()).filter(({ direction }) => direction === "sent").length, 1);
  const [{ site, asset, amount, requests }] = await payer.spending();
  assert.deepEqual([site, asset, amount, requests], [origin, "ETH", 36n * PRICE, 18]);

  await payer.disconnect();
  payer = await local(alice, { store, budget: BUDGET });
  assert.equal(await read("/articles/after"), "served /articles/after");
  assert.equal(log.at(-1).paid && log.filter(({ path }) => path === "/articles/after").length, 1, "terms, stream and place are still known");
  assert.equal((await payer.payments()).filter(({ direction }) => direction === "sent").length, 1);
  const [stream] = await payer.payments();
  await payer.stream({ id: stream.id, to: payee.info.address, asset: "ETH", unitPrice: PRICE, units: 100 }).then((one) => one.end()).catch((error) => assert.equal(error.code, "invalid-argument", error.message));
  await until(payer, async () => (await payer.payments())[0].status === "completed");
  assert.equal((await payer.payments())[0].amount, 38n * PRICE);
  await until(payee, async () => (await eth(payee)).available === 38n * PRICE);
  assert.equal((await payer.spending())[0].amount, 38n * PRICE);
  assert.deepEqual(errors, []);
});

test("a stream that counts its use: paid as it comes, over several intervals, and the rest is used again", async () => {
  const [alice, bob] = [await world.account(), await world.account()];
  const payer = await local(alice, { budget: BUDGET });
  const payee = await local(bob);
  await payer.deposit({ asset: "ETH", amount: 10_000_000n });
  const { origin, errors, wall } = await siteOf(payee, "score", (wall) => {
    const score = wall.route({ name: "score", price: { used: true }, first: 4, margin: 1 });
    return (request) =>
      score.handle(request, (_, payment) => {
        const encoder = new TextEncoder();
        let move = 0;
        const body = new ReadableStream({
          async pull(controller) {
            if (move === 10) return controller.close();
            await payment.use(PRICE);
            controller.enqueue(encoder.encode(`data: ${(move += 1)}\n\n`));
            return undefined;
          },
        });
        return new Response(body, { headers: { "content-type": "text/event-stream" } });
      });
  });
  const response = await payer.fetch(`${origin}/score`);
  const { meter } = response.payment;
  const text = await response.text();
  assert.match(text, /data: 10\n/);
  assert.deepEqual([meter.used, meter.error], [10, undefined]);
  assert.equal((await payer.spending())[0].amount, 10n * PRICE);
  assert.deepEqual(errors, []);
  assert.ok(wall);
});

test("a client whose budget leaves nothing signs nothing, and says so", async () => {
  const [alice, bob] = [await world.account(), await world.account()];
  await assert.rejects(local(alice, { budget: { perDay: 5 } }), { code: "invalid-argument" });
  const payer = await local(alice, { budget: { perRequest: { ETH: PRICE } } });
  const payee = await local(bob);
  await payer.deposit({ asset: "ETH", amount: 10_000_000n });
  const { origin } = await siteOf(payee, "dear", (wall) => {
    const article = wall.route({ name: "article", price: 2n * PRICE });
    return (request) => article.handle(request, () => new Response("dear"));
  });
  await assert.rejects(payer.fetch(`${origin}/a`), { code: "over-limit" });
  assert.deepEqual(await payer.payments(), []);
  assert.deepEqual(await payer.spending(), []);
});

test("who is disconnected pays nothing, and may be disconnected twice", async () => {
  const payer = await local(await world.account(), { spending: join(folder, "book.sqlite") });
  assert.deepEqual(await payer.spending(), []);
  await payer.disconnect();
  await payer.disconnect();
  await assert.rejects(payer.fetch("http://127.0.0.1:1/"), { code: "client-closed" });
});

test("a payer without money, or a payee that nobody knows, ends in the engine's own code", async () => {
  const [alice, bob] = [await world.account(), await world.account()];
  const [payer, payee] = [await local(alice, { budget: BUDGET }), await local(bob)];
  await payer.deposit({ asset: "ETH", amount: PRICE });
  const { origin } = await siteOf(payee, "poor", (wall) => {
    const article = wall.route({ name: "article", price: 2n * PRICE });
    return (request) => article.handle(request, () => new Response("text"));
  });
  await assert.rejects(payer.fetch(`${origin}/a`), { code: "insufficient-funds" });
  await payer.deposit({ asset: "ETH", amount: 10_000_000n });
  assert.equal(await (await payer.fetch(`${origin}/a`)).text(), "text");
});
