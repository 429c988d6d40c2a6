// What may be asked for again, and what a call says of it: ids that name another payment, options that can't be read, a
// store that fails when something was signed already.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { clientsOf } from "../support/clients.mjs";
import { createWorld } from "../support/world.mjs";

let world;
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
});
after(async () => {
  await disconnectAll();
  await world?.stop();
});

const eth = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH");
const newId = () => `0x${randomBytes(16).toString("hex")}`;

async function funded(options) {
  const client = await local(await world.account(), options);
  await client.deposit({ asset: "ETH", amount: 1_000n });
  return client;
}

test("an id names a payment with its payee and memo; another one is refused, whether the first is over or not", async () => {
  const [client, b] = [await funded(), await world.account()];
  const bob = await local(b);
  await bob.deposit({ asset: "ETH", amount: 1n });
  const [id, { owner, signer }] = [newId(), world.hub];
  const paying = { id, to: owner, asset: "ETH", amount: 3n, memo: "tea" };
  const others = [{ to: b.address }, { memo: "coffee" }, { memo: undefined }, { amount: 4n }];
  const first = client.pay(paying);
  const early = others.map((other) => client.pay({ ...paying, ...other }).then(() => "paid", ({ code }) => code));
  await first;
  assert.deepEqual(await Promise.all(early), others.map(() => "invalid-argument"));
  for (const other of others) await assert.rejects(client.pay({ ...paying, ...other }), { code: "invalid-argument", message: /names another payment/ });
  const receipt = await client.pay({ ...paying, to: signer });
  assert.equal(receipt.id, id, "the hub has two addresses");
  assert.equal((await eth(client)).available, 997n);
});

test("an option that can't be read is refused, and not taken as absent", async () => {
  const client = await funded();
  const broken = (options, name) => Object.defineProperty(options, name, { enumerable: true, get: () => { throw new Error("no"); } });
  const payment = { to: world.hub.owner, asset: "ETH", amount: 3n };
  await assert.rejects(client.pay(broken({ ...payment }, "id")), { code: "invalid-argument", message: /id can't be read/ });
  await assert.rejects(client.withdraw(broken({ asset: "ETH", amount: 3n }, "to")), { code: "invalid-argument", message: /to can't be read/ });
  assert.equal((await eth(client)).available, 1_000n);
});

test("an asset that a closing names twice is closed once", async () => {
  const client = await funded();
  await client.close({ assets: ["ETH", "ETH"] });
  assert.equal((await eth(client)).status, "closed");
});

test("a store that fails after a signature was stored does not say that nothing was signed", async () => {
  const [account, b, entries] = [await world.account(), await world.account(), new Map()];
  const bob = await local(b);
  await bob.deposit({ asset: "ETH", amount: 1n });
  let allowed = Infinity;
  const store = {
    load: async (prefix) => [...entries].filter(([key]) => key.startsWith(prefix)).sort(([x], [y]) => (x < y ? -1 : 1)),
    async commit(writes) {
      allowed -= 1;
      if (allowed < 0) throw new Error("The disk is full");
      for (const [key, value] of writes) value === null ? entries.delete(key) : entries.set(key, value);
    },
    async close() {},
  };
  const paying = { to: b.address, asset: "ETH", amount: 3n, wait: true };
  const first = await local(account, { store });
  await first.deposit({ asset: "ETH", amount: 1_000n });
  // Its signature is stored, and what the hub answers is not.
  allowed = 1;
  const id = newId();
  await assert.rejects(first.pay({ ...paying, id }), (error) => {
    assert.deepEqual([error.code, error.paymentId], ["unanswered", id]);
    assert.match(error.message, /^The store failed, so the client has stopped\. Payment 0x/);
    return true;
  });
  await first.disconnect();
  allowed = Infinity;
  const second = await local(account, { store });
  await second.pay({ ...paying, id });
  assert.equal((await eth(second)).available, 997n, "paid once");
  await second.disconnect();
  // Nothing was stored, so nothing was sent.
  const third = await local(account, { store });
  allowed = 0;
  await assert.rejects(third.pay({ ...paying, id: newId() }), { code: "storage-failed" });
  await third.disconnect();
  allowed = Infinity;
  assert.equal((await eth(await local(account, { store }))).available, 997n);
});
