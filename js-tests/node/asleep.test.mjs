// The machine was asleep: what the clients have seen of the chain is too old to pay by, and is read again at once.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const { now } = Date;
const clients = [];
let world;

before(async () => {
  world = await createWorld();
});
after(async () => {
  Date.now = now;
  await Promise.all(clients.map((client) => client.disconnect()));
  await world?.stop();
});

async function until(condition, what) {
  for (const end = now() + 10_000; !(await condition()); ) {
    assert.ok(now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A client with money in its channel that will not look at the chain by itself for ten minutes. */
async function drowsy() {
  const { privateKey, address } = await world.account();
  const options = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, store: join(world.folder, `${address}.sqlite`) };
  const awake = await connect({ ...options, pollInterval: 100 });
  await awake.deposit({ asset: "ETH", amount: parseEther("1") });
  await until(async () => (await awake.balances()).some(({ receivable }) => receivable > 0n), "the hub puts money in");
  await awake.disconnect();
  const client = await connect({ ...options, pollInterval: 600_000 });
  clients.push(client);
  return client;
}

test("a payment from and to who was asleep for an hour is made, not refused with chain-stale", async () => {
  const [alice, bob] = [await drowsy(), await drowsy()];
  // An hour goes by for the clients and the chain, while no timer of theirs runs.
  Date.now = () => now() + 3_600_000;
  await world.chain.passTo(Math.floor(Date.now() / 1_000));
  const { number } = await world.chain.reader.getBlock();
  await until(async () => (await (await fetch(`${world.hubUrl}/ready`)).json()).head >= number, "the hub sees the block");
  assert.equal((await alice.pay({ to: bob.info.address, asset: "ETH", amount: 5n, wait: true })).status, "completed");
  assert.equal((await bob.pay({ to: alice.info.address, asset: "ETH", amount: 5n, wait: true })).status, "completed");
});
