// Streams between two clients, over a real hub and node: placed, paid by words, revealed, ended, taken up again.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, hexToBytes, recoverTypedDataAddress } from "viem";
import { clientsOf } from "../support/clients.mjs";
import { createWorld } from "../support/world.mjs";

const PRICE = 1_000n;

let world;
const folder = mkdtempSync(join(tmpdir(), "farthing-streams-"));
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
});
after(async () => {
  await disconnectAll();
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Resolves with the first event that fits. */
function next(client, name, fits = () => true) {
  return new Promise((resolve) => {
    const off = client.on(name, (event) => {
      if (!fits(event)) return;
      off();
      resolve(event);
    });
  });
}

/** The first time that `read` gives something that is not nothing. */
async function until(client, read) {
  for (;;) {
    const changed = next(client, "payment");
    const found = await read();
    if (found) return found;
    await changed;
  }
}

const eth = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH");
const paymentOf = async (client, { id }) => (await client.payments()).find((payment) => payment.id === id);

async function both(options = {}) {
  const [alice, bob] = [await world.account(), await world.account()];
  const [payer, payee] = [await local(alice, options.payer), await local(bob, options.payee)];
  await payer.deposit({ asset: "ETH", amount: 1_000_000n });
  return { alice, bob, payer, payee, to: payee.info.address };
}

const terms = (to, more = {}) => ({ to, asset: "ETH", unitPrice: PRICE, units: 100, ...more });

for (const condition of ["hash-chain", "voucher"]) {
  test(`${condition}: units are paid by words alone, and the rest comes back`, async () => {
    const { payer, payee, to } = await both();
    const told = next(payee, "stream");
    const stream = await payer.stream(terms(to, { condition, memo: "an article" }));
    const { stream: incoming } = await told;
    assert.equal(incoming.key, stream.key);
    assert.deepEqual(
      [incoming.unitPrice, incoming.units, incoming.memo, incoming.condition, incoming.direction],
      [PRICE, 100, "an article", condition, "received"],
    );
    assert.equal((await eth(payer)).available, 900_000n);

    const words = [stream.pay(), stream.pay(3), stream.pay(20)];
    assert.deepEqual(words.map(({ from, to }) => [from, to]), [[0, 1], [1, 4], [4, 24]]);
    assert.deepEqual([stream.paid, stream.remaining], [24, 76]);
    // In any order, and twice.
    assert.deepEqual([1, 2, 0, 2].map((index) => incoming.take(words[index])), [4, 20, 0, 0]);
    await incoming.reveal();
    await until(payer, () => stream.handedOver === 24);
    assert.equal((await paymentOf(payee, incoming)).stream.paid, 24);

    const ended = until(payer, async () => (await paymentOf(payer, stream)).status === "completed");
    await stream.end();
    await ended;
    const [ours, theirs] = [await paymentOf(payer, stream), await paymentOf(payee, incoming)];
    assert.deepEqual([ours.amount, theirs.amount, theirs.status], [24n * PRICE, 24n * PRICE, "completed"]);
    assert.equal((await eth(payer)).available, 1_000_000n - 24n * PRICE);
    assert.equal((await eth(payee)).available, 24n * PRICE);
    assert.throws(() => stream.pay(), { code: "payment-failed" });
    assert.throws(() => incoming.take(words[0]), { code: "payment-failed" });
  });
}

test("words that prove nothing are refused and change nothing", async () => {
  const { payer, payee, to } = await both();
  const told = next(payee, "stream");
  const stream = await payer.stream(terms(to));
  const { stream: incoming } = await told;
  const paid = stream.pay(5);
  const wrong = [
    { to: 4, word: paid.word }, { to: 6, word: paid.word }, { to: 0, word: paid.word }, { to: 101, word: paid.word },
    { to: 1.5, word: paid.word }, { to: 5, word: "0x" }, { to: 5, word: `${paid.word}00` }, { to: 5, word: 7 },
    { to: 5, word: `0x${"ab".repeat(32)}` }, { to: Number.NaN, word: paid.word },
  ];
  for (const bad of wrong) assert.throws(() => incoming.take(bad), { code: "bad-evidence" }, JSON.stringify(bad));
  assert.equal(incoming.proved, 0);
  assert.equal(incoming.take(paid), 5);
  for (const units of [0, -1, 1.5, Number.NaN, "1", 2 ** 60, null]) {
    assert.throws(() => stream.pay(units), { code: "invalid-argument" }, String(units));
  }
  assert.throws(() => stream.pay(96), { code: "insufficient-funds" });
  assert.equal(stream.paid, 5);
});

test("a grant is paid with words that the engine never saw, and its tip is taken once", async () => {
  const { payer, payee, to } = await both();
  const root = crypto.getRandomValues(new Uint8Array(32));
  const words = [root];
  for (let index = 0; index < 100; index++) words.push(keccak_256(words[index]));
  const tip = bytesToHex(words[100]);
  const told = next(payee, "stream");
  const stream = await payer.stream(terms(to, { tip }));
  const { stream: incoming } = await told;
  assert.throws(() => stream.pay(), { code: "unsupported" });
  assert.equal(incoming.params.slice(0, 66), tip);
  assert.equal(incoming.take({ to: 40, word: bytesToHex(words[60]) }), 40);
  await incoming.giveUp();
  await until(payer, () => stream.ended);
  await assert.rejects(payer.stream(terms(to, { tip })), { code: "duplicate-secret" });
  assert.equal((await eth(payee)).available, 40n * PRICE);
});

test("a stream may stand as long as the hub lets it", async () => {
  const { payer, payee, to } = await both();
  const told = next(payee, "stream");
  const stream = await payer.stream(terms(to, { expiresIn: 604_800 }));
  await told;
  assert.ok(stream.expiresAt > Date.now() + 604_000_000);
});

test("options are checked before anything is signed", async () => {
  const { payer, to } = await both();
  const before = await eth(payer);
  const refused = (more, code) => assert.rejects(payer.stream(terms(to, more)), { code }, JSON.stringify(more, (_, value) => String(value)));
  await refused({ units: 0 }, "invalid-argument");
  await refused({ units: 2 ** 32 }, "invalid-argument");
  await refused({ units: 16_385 }, "invalid-argument");
  await refused({ units: "1" }, "invalid-argument");
  await refused({ unitPrice: 0n }, "invalid-amount");
  await refused({ unitPrice: 1 }, "invalid-amount");
  await refused({ unitPrice: 2n ** 127n }, "amount-overflow");
  await refused({ unitPrice: 10_001n }, "insufficient-funds");
  await refused({ condition: "hash" }, "invalid-argument");
  await refused({ condition: "voucher", tip: `0x${"11".repeat(32)}` }, "invalid-argument");
  await refused({ tip: "0x11" }, "invalid-argument");
  await refused({ memo: "x".repeat(257) }, "invalid-argument");
  await refused({ expiresIn: 10 }, "bad-expiry");
  await refused({ expiresIn: 30 * 86_400 }, "bad-expiry");
  await refused({ to: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8" }, "unknown-payee");
  await refused({ asset: "XYZ" }, "unknown-asset");
  await refused({ wait: true }, "invalid-argument");
  await refused({ id: "0x11" }, "invalid-argument");
  assert.deepEqual(await eth(payer), before);
  assert.deepEqual(await payer.payments(), []);
});

test("where nobody takes streams they come back, and the payer's call says so", async () => {
  const { payer, payee, to } = await both();
  await payee.disconnect();
  const failure = await payer.stream(terms(to)).then(() => assert.fail("it stands"), (error) => error);
  assert.equal(failure.code, "payee-declined");
  assert.match(failure.message, /not connected.*No money moved/);
  assert.equal((await eth(payer)).available, 1_000_000n);
});

test("both go on where they were after a restart, under the same id", async () => {
  const [payerStore, payeeStore] = [join(folder, "payer"), join(folder, "payee")];
  const { alice, bob, payer, payee, to } = await both({ payer: { store: payerStore }, payee: { store: payeeStore } });
  const id = bytesToHex(crypto.getRandomValues(new Uint8Array(16)));
  const told = next(payee, "stream");
  const stream = await payer.stream(terms(to, { id }));
  const { stream: incoming } = await told;
  incoming.take(stream.pay(7));
  await incoming.reveal();
  incoming.take(stream.pay(4));
  // What was not revealed is when the client goes.
  await Promise.all([payer.disconnect(), payee.disconnect()]);

  const [again, there] = [await local(alice, { store: payerStore }), await local(bob, { store: payeeStore })];
  const known = await again.stream(terms(to, { id }));
  assert.deepEqual([known.key, known.paid], [stream.key, 11]);
  await assert.rejects(again.stream(terms(to, { id, units: 99 })), { code: "invalid-argument" });
  const { stream: taken } = await next(there, "stream");
  assert.deepEqual([taken.key, taken.proved], [stream.key, 11]);
  assert.throws(() => taken.take({ to: 12, word: stream.key }), { code: "bad-evidence" });
  assert.equal(taken.take(known.pay(2)), 2);
  await taken.reveal();
  await until(again, () => known.handedOver === 13);
  await until(there, async () => (await paymentOf(there, taken)).stream.paid === 13);
});

test("words are shown by amount, by age and when idle, without being asked to", async () => {
  const { payer, payee, to } = await both();
  const told = next(payee, "stream");
  const stream = await payer.stream(terms(to));
  const { stream: incoming } = await told;
  // An eighth of all units.
  incoming.take(stream.pay(13));
  await until(payer, () => stream.handedOver === 13);
  incoming.revealing({ age: 20 });
  incoming.take(stream.pay(1));
  await until(payer, () => stream.handedOver === 14);
  incoming.revealing({ age: 60_000, idle: 20 });
  incoming.take(stream.pay(2));
  await until(payer, async () => (await paymentOf(payer, stream)).status === "completed");
  assert.equal((await paymentOf(payer, stream)).amount, 16n * PRICE);
});

test("words that come while others are shown wait for the next eighth, and do not have them shown one by one", async () => {
  const { payer, payee, to } = await both();
  const told = next(payee, "stream");
  const stream = await payer.stream(terms(to, { units: 1_000 }));
  const { stream: incoming } = await told;
  let shown = 0;
  const { core } = incoming;
  incoming.core = { reveal: (word) => ((shown += 1), core.reveal(word)), endStream: (which) => core.endStream(which) };
  for (let unit = 0; unit < 624; unit += 1) {
    incoming.take(stream.pay(1));
    // The engine may take a step.
    await null;
  }
  assert.ok(shown > 0 && shown <= 4, `shown ${shown} times`);
  await incoming.reveal();
  await until(payer, () => stream.handedOver === 624);
});

test("a payee may keep the rest when it is asked for", async () => {
  const { payer, payee, to } = await both();
  const told = next(payee, "stream");
  const stream = await payer.stream(terms(to));
  const { stream: incoming } = await told;
  const asked = new Promise((resolve) => (incoming.onend = resolve));
  const ended = stream.end({ timeout: 60_000 });
  await asked;
  assert.equal(incoming.status, "pending");
  incoming.take(stream.pay(1));
  await incoming.giveUp();
  await ended;
  assert.equal((await paymentOf(payer, stream)).amount, PRICE);
});

test("an exit kit has the words that were shown, and a listener who comes late gets what is open", async () => {
  const { payer, payee, to } = await both();
  const told = next(payee, "stream");
  const stream = await payer.stream(terms(to));
  const { stream: incoming } = await told;
  const { stream: late } = await next(payee, "stream");
  assert.equal(late, incoming);
  await world.hub.stop();
  incoming.take(stream.pay(9));
  await incoming.reveal();
  const kit = JSON.parse(await payee.exportExitKit());
  const items = kit.transactions.flatMap((transaction) => transaction.items ?? []);
  assert.deepEqual(items.map(({ units, evidence }) => [units, evidence.length]), [[9, 2 + 2 * 36]]);
  await world.hub.start();
  await until(payer, () => stream.handedOver === 9);
});

test("a key signs receipts for the payee, which anybody can check", async () => {
  const { payee, bob } = await both();
  const publicKey = bytesToHex(crypto.getRandomValues(new Uint8Array(32)));
  const certificate = await payee.signReceiptKey({ publicKey, expiresIn: 3_600 });
  assert.equal(certificate.payee, bob.address);
  const signer = await recoverTypedDataAddress({
    domain: { name: "Farthing", version: "1", chainId: world.chainId, verifyingContract: world.contract },
    types: { ReceiptKey: [{ name: "payee", type: "address" }, { name: "publicKey", type: "bytes32" }, { name: "expires", type: "uint64" }] },
    primaryType: "ReceiptKey",
    message: { payee: certificate.payee, publicKey, expires: BigInt(certificate.expires) },
    signature: certificate.signature,
  });
  assert.equal(signer, certificate.signer);
  assert.equal(hexToBytes(certificate.channelId).length, 32);
  await assert.rejects(payee.signReceiptKey({ publicKey: "0x11", expiresIn: 5 }), { code: "invalid-argument" });
});
