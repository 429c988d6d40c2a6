// Streams that go on: the next one stands before the present one is used up, `pay` passes over to it, and what was not used
// comes back; between two clients, over a real hub and node.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bytesToHex } from "viem";
import { clientsOf } from "../support/clients.mjs";
import { packageFile } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

const PRICE = 1_000n;
const DEPOSIT = 1_000_000n;

let world;
const folder = mkdtempSync(join(tmpdir(), "farthing-renewal-"));
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
const freshId = () => bytesToHex(crypto.getRandomValues(new Uint8Array(16)));
const terms = (to, more = {}) => ({ to, asset: "ETH", unitPrice: PRICE, units: 8, renew: true, ...more });

async function both({ store } = {}) {
  const [alice, bob] = [await world.account(), await world.account()];
  const [payer, payee] = [await local(alice, store && { store }), await local(bob)];
  await payer.deposit({ asset: "ETH", amount: DEPOSIT });
  const taken = new Map();
  payee.on("stream", ({ stream }) => taken.set(stream.key, stream));
  /** What the payee does with what it is paid: it finds the stream by its key. */
  const take = ({ key, ...paid }) => taken.get(key).take(paid);
  return { alice, payer, payee, taken, take, to: payee.info.address };
}

const stands = (client) => next(client, "renewal", ({ next: key }) => key !== undefined);
const fails = (client) => next(client, "renewal", ({ error }) => error !== undefined);

for (const condition of ["hash-chain", "voucher"]) {
  test(`${condition}: pays on without a pause, and what is not used comes back`, async () => {
    const { payer, taken, take, to } = await both();
    const stream = await payer.stream(terms(to, { condition, memo: "a film" }));
    assert.equal(stream.next, undefined);
    const keys = new Set();
    let proved = 0;
    for (let round = 0; round < 4; round += 1) {
      const told = stands(payer);
      // The sixth of eight asks for the next one; the other two are paid while that is placed.
      for (let unit = 0; unit < 8; unit += 1) {
        const paid = stream.pay();
        keys.add(paid.key);
        proved += take(paid);
      }
      assert.equal((await told).next, stream.next);
      assert.equal((await told).stream, stream);
    }
    assert.deepEqual([proved, keys.size, taken.size], [32, 4, 5]);
    assert.deepEqual(taken.get([...keys][1]).memo, "a film");
    for (const key of keys) await taken.get(key).reveal();
    await stream.end();
    await until(payer, async () => (await payer.streams()).every(({ status }) => status === "completed" || status === "failed"));
    assert.equal((await eth(payer)).available, DEPOSIT - 32n * PRICE);
    assert.throws(() => stream.pay(), { code: "payment-failed" });
    assert.equal(stream.ended, true);
  });
}

test("more than is left is paid from the next one, and the rest of the old one comes back when the payee has words of the new", async () => {
  const { payer, taken, take, to } = await both();
  const stream = await payer.stream(terms(to, { condition: "voucher", units: 10 }));
  const old = stream.id;
  let told = stands(payer);
  take(stream.pay(9));
  const { next: second } = await told;
  const paid = stream.pay(5);
  assert.deepEqual([paid.key, paid.from, paid.to], [second, 0, 5]);
  // Words of the old one may be on their way: it still stands.
  assert.equal((await payer.streams({ status: "pending" })).length, 2);
  take(paid);
  await taken.get(second).reveal();
  const [back] = await until(payer, async () => {
    const found = (await payer.streams({ status: "completed" })).filter(({ id }) => id === old);
    return found.length > 0 && found;
  });
  assert.equal(back.amount, 9n * PRICE);

  // More than any of them has: it is asked for.
  assert.throws(() => stream.pay(25), ({ code, message }) => code === "insufficient-funds" && /await topUp\(25\)/.test(message));
  await stream.topUp(25);
  const large = stream.pay(25);
  assert.deepEqual([large.from, large.to], [0, 25]);
  assert.equal(take(large), 25);
  await stream.topUp(1);
  await assert.rejects(stream.topUp(0), { code: "invalid-argument" });
  await assert.rejects(stream.topUp(2_000), { code: "insufficient-funds" });
});

test("without money the present one goes on to its end, an event says so, and with money it goes on", async () => {
  const { payer, take, to } = await both();
  const stream = await payer.stream(terms(to, { units: 600, renew: { below: 200 } }));
  const told = fails(payer);
  take(stream.pay(400));
  const { error, stream: same } = await told;
  assert.deepEqual([error.code, same], ["insufficient-funds", stream]);
  take(stream.pay(200));
  assert.throws(() => stream.pay(), { code: "insufficient-funds" });
  const stood = stands(payer);
  await payer.deposit({ asset: "ETH", amount: DEPOSIT });
  await stood;
  const paid = stream.pay();
  assert.deepEqual([paid.from, paid.to, take(paid)], [0, 1, 1]);
});

test("while the hub is away nothing pauses, and when it is back the next one is placed", async () => {
  const { payer, payee, take, to } = await both();
  const stream = await payer.stream(terms(to, { timeout: 5_000 }));
  const gone = next(payer, "disconnected");
  await world.hub.stop();
  await gone;
  const told = fails(payer);
  take(stream.pay(7));
  assert.equal((await told).error.code, "not-connected");
  take(stream.pay());
  const stood = stands(payer);
  await world.hub.start();
  await stood;
  assert.equal(payee.info.connected, true);
  take(stream.pay());
  // Those that came before the payee was back were taken back.
  assert.equal((await payer.streams()).filter(({ status }) => status === "pending" || status === "completed").length, 2);
});

test("after a restart the same streams go on: none is placed twice, nothing is lost", async () => {
  const store = join(folder, "payer");
  const { alice, payer, taken, take, to } = await both({ store });
  const id = freshId();
  const stream = await payer.stream(terms(to, { id }));
  assert.equal(await payer.stream(terms(to, { id })), stream);
  const told = stands(payer);
  take(stream.pay(6));
  const { next: second } = await told;
  const first = stream.key;
  await payer.disconnect();

  // The present one has two left, and its successor stands.
  let client = await local(alice, { store });
  let again = await client.stream(terms(to, { id }));
  assert.deepEqual([again.key, again.next, again.paid, again.first], [first, second, 6, id]);
  assert.equal((await client.streams()).length, 2);
  take(again.pay(2));
  const third = stands(client);
  take(again.pay(3));
  take(again.pay(3));
  const { next: three } = await third;
  await again.saved();
  await client.disconnect();

  // It had passed over to the second, which is where it goes on.
  client = await local(alice, { store });
  again = await client.stream(terms(to, { id }));
  assert.deepEqual([again.key, again.next, again.paid], [second, three, 6]);
  assert.deepEqual([(await client.streams()).length, taken.size], [3, 3]);

  // Away while the fourth is being placed: afterwards one of them stands, not two.
  take(again.pay(2));
  again.pay(6);
  await client.disconnect();
  client = await local(alice, { store });
  const stood = stands(client);
  again = await client.stream(terms(to, { id }));
  assert.deepEqual([again.key, again.paid], [three, 6]);
  if (again.next === undefined) await stood;
  assert.equal((await client.streams()).length, 4);
  // Another one of the same terms is another one.
  const other = await client.stream(terms(to, { id: freshId(), renew: false }));
  assert.ok(![again.key, again.next].includes(other.key));
  await assert.rejects(client.stream(terms(to, { id, unitPrice: 2n * PRICE })), { code: "invalid-argument" });
});

test("what a payee gives back unused is told, and placed again after a pause only", async () => {
  const { payer, taken, take, to } = await both();
  const stream = await payer.stream(terms(to));
  const [told, stood] = [fails(payer), stands(payer)];
  await taken.get(stream.key).giveUp();
  assert.equal((await told).error.code, "payee-declined");
  await stood;
  assert.equal(take(stream.pay()), 1);
  // Of one that was paid by it is no refusal: the next is there at once.
  const after = stands(payer);
  await taken.get(stream.key).giveUp();
  await after;
  assert.equal(take(stream.pay()), 1);
});

test("the id of a successor is fresh, and known by the first one's and its number", async () => {
  const { heirOf, numberOf } = await packageFile("renewal.mjs");
  const [first, other] = [freshId(), freshId()];
  const heirs = Array.from({ length: 300 }, (_, number) => heirOf(first, number + 1));
  assert.equal(new Set(heirs.map((id) => id.slice(0, 22))).size, 300);
  assert.deepEqual(heirs.map((id) => numberOf(first, id)), heirs.map((_, number) => number + 1));
  assert.ok(heirs.every((id) => numberOf(other, id) === undefined && id.length === 34));
  assert.deepEqual([numberOf(first, first), numberOf(first, other)], [0, undefined]);
});

test("options are checked before anything is placed", async () => {
  const { payer, to } = await both();
  const refused = (renew, more) => assert.rejects(payer.stream(terms(to, { renew, ...more })), { code: "invalid-argument" }, String(renew));
  for (const renew of [1, "true", null, { below: 0 }, { below: -1 }, { below: 1.5 }, { below: "1" }, { below: Number.NaN }, { bellow: 2 }]) await refused(renew);
  await refused(true, { tip: `0x${"12".repeat(32)}` });
  assert.equal((await payer.streams()).length, 0);
});

test("streams are listed as payments are, by what they are", async () => {
  const { payer, payee, taken, to } = await both();
  await payer.pay({ to, asset: "ETH", amount: 5n });
  const one = await payer.stream(terms(to, { renew: false }));
  const two = await payer.stream(terms(to, { renew: false, condition: "voucher" }));
  await payer.pay({ to, asset: "ETH", amount: 5n });
  assert.deepEqual((await payer.streams()).map(({ id, stream }) => [id, stream.key, stream.units]), [[two.id, two.key, 8], [one.id, one.key, 8]]);
  assert.deepEqual((await payer.streams({ limit: 1 })).map(({ id }) => id), [two.id]);
  assert.equal((await payer.streams({ direction: "received" })).length, 0);
  assert.equal((await payee.streams({ direction: "received", asset: "ETH", status: "pending" })).length, 2);
  await taken.get(one.key).giveUp();
  await until(payer, () => one.ended);
  assert.deepEqual((await payer.streams({ status: "pending" })).map(({ id }) => id), [two.id]);
  for (const bad of [{ limit: 0 }, { limit: 1.5 }, { status: "open" }, { nonsense: 1 }, 5]) await assert.rejects(payer.streams(bad), { code: "invalid-argument" });
});
