// Hostile readers before an honest site: the real paywall over a real engine, hub and node. They have streams with money in
// them and keep no rule. No unit may be sold twice, and what was served must be paid.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, request as ask } from "node:http";
import { connect as dial } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Readable } from "node:stream";
import { bytesToHex, hexToBytes } from "viem";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { clientsOf } from "../support/clients.mjs";
import { packageFile } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";
import { chance } from "./chance.mjs";
import { entry } from "./report.mjs";

const { paywall, sqlite } = await packageFile("paywall/index.mjs");
const { bindOf, decodeAnswer, encodePayment } = await packageFile("pay/scheme.mjs");

const PRICE = 1_000n;
const UNITS = 400;
/** Units of an article. */
const ARTICLE = 2;
const KEYS = Number(process.env.FARTHING_KEYS ?? 1_500);

let world;
const folder = mkdtempSync(join(tmpdir(), "farthing-readers-"));
const { local, disconnectAll } = clientsOf(() => world);
const closing = [];

before(async () => {
  world = await createWorld();
});
after(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await disconnectAll();
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const hex = (size) => `0x${randomBytes(size).toString("hex")}`;

/** A site whose goods are counted as they leave. */
async function openSite(payee) {
  const served = [];
  let serve;
  const server = createServer((request, response) => {
    const url = `http://127.0.0.1:${server.address().port}${request.url}`;
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    const init = { method: request.method, headers: request.headers, signal: gone.signal };
    const body = request.method === "POST" && { body: Readable.toWeb(request), duplex: "half" };
    serve(new Request(url, { ...init, ...body })).then(
      (answer) => {
        response.writeHead(answer.status, [...answer.headers].flat());
        if (answer.body) Readable.fromWeb(answer.body).on("error", () => response.destroy()).pipe(response);
        else response.end();
      },
      // As a framework answers for a handler that throws.
      () => response.writeHead(500).end(),
    );
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const errors = [];
  const wall = await paywall({ client: payee, store: sqlite(join(folder, "site.db")), origin, asset: "ETH", unitPrice: PRICE, onError: (error) => errors.push(error) });
  const article = wall.route({ name: "article", price: BigInt(ARTICLE) * PRICE });
  serve = (request) =>
    article.handle(request, async ({ url }) => {
      const { pathname } = new URL(url);
      if (pathname === "/fails") throw new Error("the handler fails");
      served.push(pathname);
      return new Response(`goods of ${pathname}`);
    });
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await wall.close();
  };
  closing.push(stop);
  return { origin, port: server.address().port, served, errors, stop };
}

/** A reader with a chain of its own and a stream for it, who may do what it likes with its words. */
async function reader(payee) {
  const client = await local(await world.account());
  await client.deposit({ asset: "ETH", amount: 10_000_000n });
  const words = [new Uint8Array(randomBytes(32))];
  for (let index = 0; index < UNITS; index += 1) words.push(keccak_256(words[index]));
  const stream = await client.stream({ to: payee.info.address, asset: "ETH", unitPrice: PRICE, units: UNITS, tip: bytesToHex(words[UNITS]) });
  return { client, stream, word: (units) => bytesToHex(words[UNITS - units]), place: 0 };
}

test("readers who replay, forge, race, flood and leave", { timeout: 600_000 }, async () => {
  const book = entry("site", "hostile readers against a paywall", 7);
  const count = (trick) => (book.tried[trick] = (book.tried[trick] ?? 0) + 1);
  const { draw, pick } = chance(7);
  const payee = await local(await world.account());
  const site = await openSite(payee);
  const readers = [];
  for (let index = 0; index < 3; index += 1) readers.push(await reader(payee));
  const { chainId } = payee.info;
  const terms = { network: `eip155:${chainId}`, asset: `0x${"0".repeat(40)}`, payTo: payee.info.address.toLowerCase() };

  /** What was sold, by stream: intervals with the ids that bought them. */
  const sold = new Map(readers.map(({ stream }) => [stream.key.toLowerCase(), new Map()]));
  const codes = new Map();
  async function send(payment, { path = "/article", method = "GET", url = `${site.origin}${path}`, header } = {}) {
    const id = payment?.id ?? hex(16);
    const bind = payment?.bind ?? (await bindOf(id, method, url));
    const headers = header !== undefined ? { "payment-signature": header } : payment === undefined ? {} : { "payment-signature": encodePayment({ ...terms, ...payment, id, bind }) };
    const response = await fetch(`${site.origin}${path}`, { method, headers });
    const text = await response.text();
    codes.set(response.status, (codes.get(response.status) ?? 0) + 1);
    const goods = text.startsWith("goods of ");
    if (goods) {
      assert.equal(response.status, 200);
      const answer = decodeAnswer(response.headers.get("payment-response"));
      const bought = sold.get(answer.key);
      assert.ok(bought, "goods for a stream that nobody has");
      if (!bought.has(answer.id)) bought.set(answer.id, [answer.from, answer.from + answer.charged]);
    }
    return { status: response.status, goods };
  }
  const of = ({ stream: { key }, word }, from, to, more = {}) => ({ key: key.toLowerCase(), from, to, word: word(to), ...more });
  const next = (one, units = ARTICLE) => of(one, one.place, (one.place += units), { id: hex(16) });
  const refused = async (trick, ...asked) => {
    count(trick);
    const { goods, status } = await send(...asked);
    assert.ok(!goods, `${trick}: it was served (${status})`);
  };

  // The paywall learns of streams from its till.
  for (const one of readers) {
    for (let tries = 0; ; tries += 1) {
      const { goods } = await send(of(one, 0, ARTICLE, { id: hex(16) }));
      if (goods) break;
      assert.ok(tries < 200, "the site knows the stream");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    one.place = ARTICLE;
  }

  for (let round = 0; round < 15; round += 1) {
    const [one, other] = [pick(readers), pick(readers)];
    const paid = next(one);
    assert.ok((await send(paid)).goods, "an honest request is served");
    count("the same again");
    assert.ok((await send(paid)).goods, "an answer that was paid for is given again");
    await refused("the same id for another page", paid, { path: "/other" });
    await refused("the same id for another method", paid, { method: "POST" });
    await refused("another id for what was sold", { ...paid, id: hex(16) });
    await refused("an interval that overlaps", of(one, paid.from + 1, paid.to + 1, { id: hex(16) }));
    await refused("bound to another page", { ...next(one), bind: await bindOf(hex(16), "GET", `${site.origin}/else`) });
    await refused("a forged word", of(one, one.place, one.place + ARTICLE, { word: hex(32), id: hex(16) }));
    await refused("the word below", of(one, one.place, one.place + ARTICLE, { word: one.word(one.place + 1), id: hex(16) }));
    await refused("too short an interval", of(one, one.place, one.place + 1, { id: hex(16) }));
    await refused("another's stream", { ...of(one, one.place, one.place + ARTICLE, { id: hex(16) }), key: hex(32) });
    if (one !== other) await refused("another's key with one's own word", { ...of(one, one.place, one.place + ARTICLE, { id: hex(16) }), key: other.stream.key.toLowerCase() });
    await refused("another payee", { ...of(one, one.place, one.place + ARTICLE, { id: hex(16) }), payTo: hex(20) });
    await refused("another asset", { ...of(one, one.place, one.place + ARTICLE, { id: hex(16) }), asset: hex(20) });
    await refused("a handler that fails", next(one), { path: "/fails" });
    // Each end would be the end of the reader's next honest request.
    for (const word of [paid.word, one.word(0), hex(32)]) await refused("a grant's end by who saw its payments", of(one, 0, 0, { word, id: paid.id }));
    await refused("noise in the header", undefined, { header: randomBytes(1 + draw(3_000)).toString("base64") });

    // Many ids for one interval at the same time: one of them buys it.
    const [from, to] = [one.place, (one.place += ARTICLE)];
    const race = await Promise.all(Array.from({ length: 16 }, () => (count("a race for one interval"), send(of(one, from, to, { id: hex(16) })))));
    assert.equal(race.filter(({ goods }) => goods).length, 1, "one of sixteen buys it");
    // One id at the same time.
    const same = next(one);
    await Promise.all(Array.from({ length: 8 }, () => (count("one id at once"), send(same))));
  }

  // Keys that nobody knows, `FARTHING_KEYS` of them, and bodies that never come.
  const slow = Array.from({ length: 50 }, () => {
    count("a body that never comes");
    const socket = dial(site.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write("POST /article HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{");
    return socket;
  });
  const left = Array.from({ length: 20 }, async () => {
    count("leaves at once");
    const one = pick(readers);
    const payment = next(one);
    const bind = await bindOf(payment.id, "GET", `${site.origin}/article`);
    const sent = ask({ port: site.port, path: "/article", headers: { "payment-signature": encodePayment({ ...terms, ...payment, bind }) } });
    sent.on("error", () => {});
    sent.end(() => setImmediate(() => sent.destroy()));
    await new Promise((resolve) => sent.on("close", resolve));
  });
  await Promise.all(left);
  for (let made = 0; made < KEYS; made += 100) {
    await Promise.all(Array.from({ length: 100 }, () => refused("an unknown key", { key: hex(32), from: 0, to: ARTICLE, word: hex(32), id: hex(16) })));
  }
  const honest = readers[0];
  assert.ok((await send(next(honest))).goods, "whoever pays is served all the same");
  for (const socket of slow) socket.destroy();

  // No unit twice.
  let twice = 0;
  for (const bought of sold.values()) {
    const intervals = [...bought.values()].sort(([a], [b]) => a - b);
    for (let index = 1; index < intervals.length; index += 1) twice += Math.max(0, intervals[index - 1][1] - intervals[index][0]);
  }
  assert.equal(twice, 0, "units sold twice");

  // And all that was served is paid: what the site has, to the unit of each stream.
  const value = [...sold.values()].reduce((sum, bought) => sum + [...bought.values()].reduce((units, [from, to]) => units + to - from, 0), 0);
  const ended = readers.map(({ client, stream }) => new Promise((resolve) => client.on("payment", ({ payment }) => payment.id === stream.id && payment.status === "completed" && resolve(payment))));
  await Promise.all(readers.map(({ stream }) => stream.end()));
  const payments = await Promise.all(ended);
  const received = payments.reduce((sum, { amount }) => sum + amount, 0n);
  const due = BigInt(value) * PRICE;
  if (received < due) book.lost += due - received;
  assert.equal(book.lost, 0n, `${due} was served, and ${received} came`);
  // Nor did a reader pay more than it showed.
  for (const { stream, place } of readers) assert.ok(payments.find(({ id }) => id === stream.id).amount <= BigInt(place) * PRICE);
  assert.ok(site.served.length >= value / ARTICLE);
  assert.ok(hexToBytes(readers[0].stream.key).length === 32);
  book.judged = true;
});
