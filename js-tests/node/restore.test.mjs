// The laptop is lost: the wallet comes back on an empty device, from the hub or from a second place.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const clients = [];
let world;

before(async () => {
  world = await createWorld();
});
after(async () => {
  await Promise.all(clients.map((client) => client.disconnect()));
  await world?.stop();
});

async function local(account, options = {}) {
  const client = await connect({
    hub: world.hubUrl,
    rpc: world.rpcUrl,
    wallet: { privateKey: account.privateKey },
    store: "memory",
    pollInterval: 100,
    ...options,
  });
  clients.push(client);
  return client;
}

const available = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH").available;

/** A second place that remembers everything it was given. */
function place() {
  const kept = [];
  return { kept, put: async (bytes) => void kept.push(bytes), get: async () => kept.at(-1) };
}

test("an empty device gets the wallet back from the hub, and goes on paying", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const alice = await local(a);
  const bob = await local(b);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  await alice.pay({ to: b.address, asset: "ETH", amount: 7n });
  await bob.pay({ to: a.address, asset: "ETH", amount: 3n });
  const had = await available(alice);
  await alice.disconnect();

  const again = await connect({
    hub: world.hubUrl,
    rpc: world.rpcUrl,
    wallet: { privateKey: a.privateKey },
    store: "memory",
    pollInterval: 100,
  });
  clients.push(again);
  const { from, older } = await new Promise((resolve) => again.on("restored", resolve));
  assert.deepEqual([from, older], ["hub", undefined]);
  assert.equal(again.info.channelId, alice.info.channelId);
  assert.equal(await available(again), had);
  const receipt = await again.pay({ to: b.address, asset: "ETH", amount: 5n });
  assert.equal(receipt.status, "completed");
  await bob.pay({ to: a.address, asset: "ETH", amount: 1n });
});

test("the newer of two backups is taken, and an old one is named", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const own = place();
  const alice = await local(a, { backup: own });
  const bob = await local(b);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  await alice.pay({ to: b.address, asset: "ETH", amount: 7n });
  await alice.disconnect();
  const early = own.kept.at(-1);
  assert.ok(early instanceof Uint8Array && !Buffer.from(early).includes(Buffer.from(a.privateKey.slice(2), "hex")));

  // This device keeps its store, so the hub's backup grows and the second place's does not.
  const events = [];
  const second = await local(a, { backup: { put() {}, get: () => early } });
  await second.pay({ to: b.address, asset: "ETH", amount: 11n });
  const had = await available(second);
  await second.disconnect();

  const third = await connect({
    hub: world.hubUrl,
    rpc: world.rpcUrl,
    wallet: { privateKey: a.privateKey },
    store: "memory",
    pollInterval: 100,
    backup: { put() {}, get: () => early },
  });
  clients.push(third);
  third.on("error", ({ error }) => events.push(error.code));
  const { from, older } = (await third.events().next()).value;
  assert.deepEqual([from, older], ["hub", "backup"]);
  assert.equal(await available(third), had);
  assert.equal((await third.pay({ to: b.address, asset: "ETH", amount: 1n })).status, "completed");
  assert.deepEqual(events, []);
});

test("a backup of another key or a damaged one is refused, and so is a place without methods", async () => {
  const [a, b] = [await world.account(), await world.account()];
  await assert.rejects(local(a, { backup: { put() {} } }), { code: "invalid-argument" });
  const own = place();
  const alice = await local(a, { backup: own });
  await alice.deposit({ asset: "ETH", amount: 1_000n });
  await alice.disconnect();
  const bytes = Uint8Array.from(own.kept.at(-1));
  bytes[40] ^= 1;
  // The hub's is sound, so the damaged one does no harm.
  const again = await local(a, { backup: { put() {}, get: () => bytes } });
  assert.equal(await available(again), 1_000n);
  const bob = await local(b, { backup: { put() {}, get: () => own.kept.at(-1) } });
  assert.equal(await available(bob), 0n);
});
