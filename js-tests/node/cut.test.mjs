// The connection to the hub ends while a question is on its way.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { tcpProxy } from "../support/tcp-proxy.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const ends = [];
after(async () => {
  for (const end of ends.reverse()) await end();
});

test("a payment whose question about the payee is cut off is made all the same, and once", async () => {
  const world = await createWorld();
  ends.push(() => world.stop());
  const proxy = await tcpProxy(world.hubUrl);
  ends.push(() => proxy.close());
  const [payer, payee] = [await world.account(), await world.account()];
  const start = async (hub, account) => {
    const client = await connect({ hub, rpc: world.rpcUrl, wallet: { privateKey: account.privateKey }, store: "memory", pollInterval: 100 });
    ends.push(() => client.disconnect());
    return client;
  };
  const bob = await start(world.hubUrl, payee);
  const alice = await start(proxy.url, payer);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  const lost = new Promise((resolve) => alice.on("disconnected", resolve));
  // The payer's side may be settled a moment before the payee's.
  const settled = new Promise((resolve) => bob.on("payment", ({ payment }) => payment.status === "completed" && resolve()));
  const cut = proxy.cutNext();
  const paid = alice.pay({ to: payee.address, asset: "ETH", amount: 5n, wait: true });
  await Promise.all([cut, lost]);
  assert.equal((await paid).status, "completed");
  await settled;
  const received = await bob.payments();
  assert.deepEqual(received.map(({ amount, status }) => [amount, status]), [[5n, "completed"]]);
});
