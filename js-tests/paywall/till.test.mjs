// The till, receipts and the report. The engine here is a stand-in with the engine's own face: it keeps each word that it takes
// and refuses those that prove nothing.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { packageFile, packageFolder } from "../support/env.mjs";
import { CONTRACT, ORIGIN, Payer, SITE, UNIT, answerOf, encode, folder } from "../support/paying.mjs";

const { paywall, recover, report, reportLines, sqlite, till, verifyReceipt } = await packageFile("paywall/index.mjs");

const hex = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
const bytes = (text) => Uint8Array.from(Buffer.from(text.slice(2), "hex"));
const addressOf = (key) => hex(keccak_256(secp256k1.getPublicKey(key, false).slice(1)).slice(12));
const word = (value) => bytes(`0x${(typeof value === "string" ? value.slice(2) : BigInt(value).toString(16)).padStart(64, "0")}`);
const hash = (...parts) => keccak_256(Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part))));

/** A signature over typed data in the contract's domain, written here a second time. */
function signTyped(key, type, ...values) {
  const domain = hash(hash("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"), hash("Farthing"), hash("1"), word(SITE.chainId), word(CONTRACT));
  const digest = hash(Buffer.from([0x19, 1]), domain, hash(hash(type), ...values.map(word)));
  const signature = secp256k1.sign(digest, key, { prehash: false, format: "recovered" });
  return hex(Buffer.concat([signature.slice(1), Buffer.from([27 + signature[0]])]));
}

const OWNER = bytes(`0x${"11".repeat(32)}`);
const SIGNER = bytes(`0x${"22".repeat(32)}`);
const CHANNEL = `0x${"cc".repeat(32)}`;

/** One end of a stream, as `on("stream")` gives it. */
class Incoming {
  proved = 0;
  ended = false;
  taken = [];
  given = undefined;
  constructor(payer, changed) {
    const { key, condition, params, token, symbol, units } = payer.stream();
    Object.assign(this, { payer, key, condition, params, token, asset: symbol, units, unitPrice: payer.unitPrice, revealBy: payer.expiresAt, ...changed });
  }
  take({ to, word: shown }) {
    if (this.ended) throw new Error("payment-failed");
    assert.equal(shown, this.payer.word(to));
    const more = to - this.proved;
    this.proved = to;
    this.taken.push(to);
    return more;
  }
  async giveUp() {
    this.given = this.proved;
    this.ended = true;
  }
}

class Engine {
  listeners = [];
  open = [];
  signed = 0;
  info = { address: addressOf(OWNER), chainId: SITE.chainId, contract: CONTRACT, connected: true, hub: { url: SITE.hub, assets: SITE.assets.map(({ symbol, token, decimals }) => ({ asset: symbol, token, decimals })) } };
  on(name, listener) {
    assert.equal(name, "stream");
    this.listeners.push(listener);
    for (const stream of this.open) queueMicrotask(() => listener({ type: "stream", stream }));
    return () => (this.listeners = this.listeners.filter((each) => each !== listener));
  }
  comes(stream) {
    this.open.push(stream);
    for (const listener of this.listeners) listener({ type: "stream", stream });
  }
  async balances() {
    return SITE.assets.map(({ symbol, token }) => ({ asset: symbol, token, available: 5n * UNIT, receiving: UNIT, receivable: 1000n * UNIT }));
  }
  async payments() {
    return this.open.map((stream) => ({ token: stream.token, stream: { unitPrice: stream.unitPrice, shown: stream.proved, paid: Math.floor(stream.proved / 2) } }));
  }
  async signReceiptKey({ publicKey, expiresIn }) {
    this.signed += 1;
    const [payee, expires] = [this.info.address, Math.floor(Date.now() / 1000) + expiresIn];
    const signature = signTyped(SIGNER, "ReceiptKey(address payee,bytes32 publicKey,uint64 expires)", payee, publicKey, expires);
    return { publicKey, payee, expires, signature, signer: addressOf(SIGNER), channelId: CHANNEL, binding: signTyped(OWNER, "Binding(address owner,address signer,bytes32 channelId)", payee, addressOf(SIGNER), CHANNEL) };
  }
}

/** A payment to the engine's account, for as many units as the route costs then. */
async function pays(payer, how) {
  const payment = await payer.payment({ payTo: addressOf(OWNER), ...how });
  return { "payment-signature": encode(payment), "x-units": String(payment.to - payment.from) };
}
const ask = async (route, headers) => {
  const response = await route.handle(new Request("http://h/", { headers }), () => new Response("text"));
  await response.text();
  return response;
};

/** The till's look, when what was served is settled up to there. */
async function look({ store, wall }, payer, earned) {
  while (((await store.rows.stream(payer.key))?.earned ?? 0) < earned) await new Promise(setImmediate);
  await wall.till.look();
}

async function shop(t, { engine = new Engine(), store = sqlite(join(folder(t), "paywall.db")), ...options } = {}) {
  const errors = [];
  const wall = await paywall({ client: engine, store, origin: ORIGIN, asset: "DAI", unitPrice: UNIT, onError: (error) => errors.push(error), ...options });
  t.after(() => wall.close());
  return { engine, store, wall, errors, route: wall.route({ name: "article", price: (request) => BigInt(request.headers.get("x-units") ?? 1) * UNIT }) };
}

test("a stream can be paid by when the engine has it, and the engine gets the best word", async (t) => {
  const own = await shop(t);
  const { engine, wall, route, errors } = own;
  const payer = new Payer();
  const stream = new Incoming(payer);
  // Its payer is faster than the till.
  const first = ask(route, await pays(payer));
  engine.comes(stream);
  assert.equal((await first).status, 200);
  assert.equal((await ask(route, await pays(payer, { from: 7, units: 2 }))).status, 200);
  assert.equal((await ask(route, await pays(payer, { from: 3, units: 1 }))).status, 200);
  await look(own, payer, 9);
  assert.deepEqual(stream.taken, [9]);
  await wall.till.look();
  assert.deepEqual(stream.taken, [9]);
  assert.deepEqual(errors, []);
});

test("the engine gets the words of what was served, and no higher one that was shown for nothing", async (t) => {
  const own = await shop(t);
  const { engine, store, wall, route } = own;
  const payer = new Payer();
  const stream = new Incoming(payer);
  engine.comes(stream);
  const fail = async (headers) => (await route.handle(new Request("http://h/", { headers }), () => new Response("", { status: 500 }))).status;
  assert.equal((await ask(route, await pays(payer, { units: 2 }))).status, 200);
  const headers = await pays(payer, { from: 8, units: 2 });
  assert.equal(await fail(headers), 500);
  await look(own, payer, 2);
  assert.deepEqual(stream.taken, [2]);
  assert.equal((await store.rows.stream(payer.key)).best, 10);
  // One that is being served when the stream ends counts as it was sent.
  let go;
  const open = route.handle(new Request("http://h/", { headers: await pays(payer, { from: 4, units: 2 }) }), () => new Promise((resolve) => (go = () => resolve(new Response("text")))));
  while (go === undefined) await new Promise(setImmediate);
  await wall.till.look();
  assert.deepEqual(stream.taken, [2]);
  await stream.onend();
  assert.deepEqual([stream.taken, stream.given], [[2, 6], 6]);
  go();
  assert.equal((await open).status, 200);
});

test("a stream that is idle, or near its end, is sold by no more, then shown, then given up", async (t) => {
  const own = await shop(t, { idle: 60 });
  const { engine, store, wall, route } = own;
  const [idle, used, late] = [new Payer(), new Payer(), new Payer()];
  const streams = [new Incoming(idle), new Incoming(used), new Incoming(late, { revealBy: Date.now() + 59_000 })];
  streams.forEach((stream) => engine.comes(stream));
  await ask(route, await pays(idle));
  await ask(route, await pays(used));
  await store.rows.fact("site");
  // An hour without a payment.
  const { endable } = store.rows;
  store.rows.endable = async (usedBefore, expiresBefore) => [...(await endable.call(store.rows, 0, expiresBefore)), ...(await endable.call(store.rows, usedBefore + 3_600_000, 0)).filter(({ key }) => key === idle.key)];
  await wall.till.look();
  assert.deepEqual(streams.map(({ given }) => given), [1, undefined, 0]);
  const refused = await ask(route, await pays(idle));
  assert.equal(refused.status, 402);
  assert.equal((await ask(route, await pays(used))).status, 200);
});

test("a payer who wants the rest back gets it, behind what was sold", async (t) => {
  const { engine, store, wall, route } = await shop(t);
  const payer = new Payer();
  const stream = new Incoming(payer);
  engine.comes(stream);
  await ask(route, await pays(payer, { units: 3 }));
  await stream.onend();
  assert.equal(stream.given, 3);
  assert.notEqual((await store.rows.stream(payer.key)).endedAt, null);
  // Without the till nothing goes back, since others may be selling.
  const last = new Incoming(new Payer());
  engine.comes(last);
  await ask(route, await pays(last.payer));
  await wall.till.close();
  await last.onend();
  assert.equal(last.given, undefined);
});

test("a stream that the engine has ended is sold by no more", async (t) => {
  const { engine, store, wall, route } = await shop(t);
  const other = new Incoming(new Payer());
  engine.comes(other);
  await ask(route, await pays(other.payer));
  other.ended = true;
  await wall.till.look();
  assert.notEqual((await store.rows.stream(other.key)).endedAt, null);
});

test("after a crash the engine gets again what it had not stored", async (t) => {
  const path = join(folder(t), "paywall.db");
  const engine = new Engine();
  const payer = new Payer();
  const stream = new Incoming(payer);
  engine.comes(stream);
  const first = await shop(t, { engine, store: sqlite(path) });
  await ask(first.route, await pays(payer, { units: 5 }));
  await look(first, payer, 5);
  assert.deepEqual(stream.taken, [5]);
  await first.wall.close();
  // It comes back with what it had stored: three.
  stream.proved = 3;
  const second = await shop(t, { engine, store: sqlite(path) });
  await second.wall.till.look();
  assert.deepEqual(stream.taken, [5, 5]);
  assert.equal(engine.signed, 1);
});

test("a till for servers that have the store alone, and a store that is another payee's", async (t) => {
  const path = join(folder(t), "paywall.db");
  const engine = new Engine();
  const store = sqlite(path);
  const wall = await paywall({ store: sqlite(path), origin: ORIGIN, asset: "DAI", unitPrice: UNIT });
  t.after(() => wall.close());
  const route = wall.route({ price: UNIT });
  assert.equal((await ask(route, {})).status, 503);
  const opened = await till({ client: engine, store });
  t.after(async () => (await opened.close(), store.end()));
  const payer = new Payer();
  engine.comes(new Incoming(payer));
  let response;
  // It looks for the till's terms at most twice a second.
  do response = await ask(route, await pays(payer, { from: 0 }));
  while (response.status === 503);
  assert.equal(response.status, 200);
  const other = new Engine();
  other.info = { ...other.info, address: addressOf(SIGNER) };
  await assert.rejects(till({ client: other, store }), { code: "invalid-argument" });
});

test("a receipt proves the sale to anybody, and nothing that was changed does", async (t) => {
  const { engine, route } = await shop(t);
  const payer = new Payer();
  engine.comes(new Incoming(payer));
  const { receipt, id } = answerOf(await ask(route, await pays(payer)));
  const options = { recover, chainId: SITE.chainId, contract: CONTRACT };
  const sold = await verifyReceipt(receipt, options);
  assert.deepEqual(sold, { payee: addressOf(OWNER), asset: payer.token, network: "eip155:31337", key: payer.key, id, from: 0, to: 1, charged: 1, unitPrice: UNIT, method: "GET", url: `${ORIGIN}/`, at: sold.at });
  await verifyReceipt(receipt, { ...options, payee: addressOf(OWNER) });
  const signer = (changed) => ({ ...receipt, signer: { ...receipt.signer, ...changed } });
  const payload = Buffer.from(Buffer.from(receipt.payload, "base64url").toString().replace('"charged":1', '"charged":0')).toString("base64url");
  const stranger = bytes(`0x${"33".repeat(32)}`);
  const { payee, publicKey, expires } = receipt.signer;
  for (const [name, bad, changed] of [
    ["payload", { ...receipt, payload }],
    ["signature", { ...receipt, signature: `0x${"01".repeat(64)}` }],
    ["key", signer({ publicKey: `0x${"01".repeat(32)}` })],
    ["expiry", signer({ expires: expires + 1 })],
    ["stranger", signer({ signature: signTyped(stranger, "ReceiptKey(address payee,bytes32 publicKey,uint64 expires)", payee, publicKey, expires) })],
    ["no binding", signer({ binding: undefined })],
    ["binding", signer({ binding: signTyped(stranger, "Binding(address owner,address signer,bytes32 channelId)", payee, addressOf(SIGNER), CHANNEL) })],
    ["payee", receipt, { payee: addressOf(SIGNER) }],
    ["chain", receipt, { chainId: 1 }],
    ["contract", receipt, { contract: addressOf(SIGNER) }],
    ["nothing", undefined],
    ["shape", { payload: 1 }],
  ]) await assert.rejects(verifyReceipt(bad, { ...options, ...changed }), { code: "bad-receipt" }, name);
  // A payee that is a contract: whoever checks says whom it trusts.
  await verifyReceipt(signer({ binding: undefined }), { ...options, signers: [addressOf(SIGNER)] });
});

test("a site whose account is a contract is paid as its channel's key, and its receipts prove themselves", async (t) => {
  const path = join(folder(t), "paywall.db");
  const engine = new Engine();
  const payee = addressOf(SIGNER);
  engine.info = { ...engine.info, signer: payee };
  // As the engine certifies where it is a contract that has bound the key.
  engine.signReceiptKey = async ({ publicKey, expiresIn }) => {
    engine.signed += 1;
    const expires = Math.floor(Date.now() / 1000) + expiresIn;
    return { publicKey, payee, expires, signature: signTyped(SIGNER, "ReceiptKey(address payee,bytes32 publicKey,uint64 expires)", payee, publicKey, expires), signer: payee, channelId: CHANNEL };
  };
  for (const start of [1, 2]) {
    const { wall, route, errors } = await shop(t, { engine, store: sqlite(path) });
    const payer = new Payer();
    engine.comes(new Incoming(payer));
    const { receipt } = answerOf(await ask(route, await pays(payer, { payTo: payee })));
    const sold = await verifyReceipt(receipt, { recover, chainId: SITE.chainId, contract: CONTRACT, payee });
    assert.equal(sold.payee, payee);
    await wall.close();
    assert.deepEqual([engine.signed, errors], [1, []], `start ${start}`);
  }
});

test("vouchers: a word is a signature of the stream's signer over key and units", async (t) => {
  const { engine, route } = await shop(t);
  const payer = new Payer();
  const params = `${addressOf(SIGNER)}${"07".repeat(32)}`;
  engine.comes(new Incoming(payer, { condition: "voucher", params, take: () => 0 }));
  const voucher = (key, units) => signTyped(key, "Voucher(bytes32 key,uint32 units)", payer.key, units);
  const code = async (shown) => (await route.handle(new Request("http://h/", { headers: await pays(payer, { from: 4, units: 3, ...shown }) }), () => new Response("x"))).status;
  assert.equal(await code({ word: voucher(OWNER, 7) }), 402);
  assert.equal(await code({ word: voucher(SIGNER, 6) }), 402);
  assert.equal(await code({ word: payer.word(7) }), 402);
  assert.equal(await code({ word: `0x${"00".repeat(65)}` }), 402);
  assert.equal(await code({ word: voucher(SIGNER, 7) }), 200);
});

test("the report: what came in by route, and what the engine says", async (t) => {
  const own = await shop(t);
  const { engine, store, wall, route } = own;
  const payer = new Payer();
  engine.comes(new Incoming(payer));
  const dear = wall.route({ name: "film", price: 4n * UNIT });
  for (let time = 0; time < 3; time += 1) await ask(route, await pays(payer));
  await ask(dear, await pays(payer, { units: 4 }));
  await dear.handle(new Request("http://h/", { headers: await pays(payer, { units: 4 }) }), () => new Response("", { status: 500 }));
  await look(own, payer, 7);
  const told = await report({ store, client: engine });
  assert.deepEqual(told.routes.map(({ route: name, requests, free, open, income }) => [name, requests, free, open, income]), [["film", 1, 1, 0, 4n * UNIT], ["article", 3, 0, 0, 3n * UNIT]]);
  assert.deepEqual(told.engine.assets.map(({ asset, withdrawable, redeemed, shown, capacity }) => [asset, withdrawable, redeemed, shown, capacity]), [["DAI", 5n * UNIT, 3n * UNIT, 7n * UNIT, 1000n * UNIT], ["ETH", 5n * UNIT, 0n, 0n, 1000n * UNIT]]);
  assert.deepEqual((await report({ store, since: 0, until: 1 })).routes, []);
  const lines = reportLines(told).join("\n");
  for (const wanted of ["film      0.004 DAI", "article   0.003 DAI", "1 DAI", "redeemed by streams"]) assert.ok(lines.includes(wanted), `${wanted}\n${lines}`);
  await assert.rejects(report({ store, since: 2, until: 1 }), { code: "invalid-argument" });

  const program = (...args) => spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", join(packageFolder(), "bin/farthing.mjs"), "paywall", ...args], { encoding: "utf8" });
  const printed = program("report", "--store", store.rows.path);
  assert.equal(printed.status, 0, printed.stderr);
  assert.match(printed.stdout, /film +0\.004 DAI +1 +1 +0/);
  const json = JSON.parse(program("report", "--store", store.rows.path, "--json", "--since", "2020-01-01").stdout);
  assert.equal(json.routes[0].income, String(4n * UNIT));
  assert.equal(program("report").status, 2);
  assert.equal(program("report", "--store", store.rows.path, "--since", "yesterday-ish").status, 2);
  assert.equal(program("sell").status, 2);
  const missing = program("report", "--store", join(store.rows.path, "nowhere.db"));
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /There is no file/);
  const other = program("report", "--store", join(packageFolder(), "package.json"));
  assert.deepEqual([other.status, /no paywall's store/.test(other.stderr)], [2, true]);
});
