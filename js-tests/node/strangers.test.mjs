// Payees with nothing: no deposit and no ETH, and paid all the same.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { parseEther } from "viem";
import { clientsOf } from "../support/clients.mjs";
import { settled } from "../support/settled.mjs";
import { createWorld } from "../support/world.mjs";

let world;
const { local, disconnectAll } = clientsOf(() => world);

afterEach(async () => {
  await disconnectAll();
  await world?.stop();
});

const nothing = () => world.account({ eth: 0n, dai: 0n });

async function payer() {
  const client = await local(await world.account());
  await client.deposit({ asset: "ETH", amount: parseEther("1") });
  return client;
}

const pays = (from, to, amount = 1n) => from.pay({ to: to.address, asset: "ETH", amount, wait: true });

test("a payee without a deposit and without ETH is paid, many times, and withdraws at the hub's gas", async () => {
  world = await createWorld();
  const alice = await payer();
  const account = await nothing();
  const bob = await local(account);
  const first = await pays(alice, account);
  assert.equal(first.status, "completed");
  for (let count = 0; count < 20; count += 1) await pays(alice, account);
  const { available, deposited } = await settled(bob);
  assert.deepEqual([available, deposited], [21n, 0n]);
  await bob.withdraw({ asset: "ETH", amount: 21n, relay: true });
  assert.equal(await world.balanceOf(account.address), 21n);
});

test("when the budget is used up the payer hears so at once, and one unit of the payee's own helps", async () => {
  // Two deposits for strangers at 200,000 gas and 1 gwei; a payer may have one of them.
  world = await createWorld({ hub: { strangers: { gas_per_day: 400_000_000_000_000n } } });
  const alice = await payer();
  const [first, second] = [await nothing(), await world.account()];
  await local(first);
  const later = await local(second);
  await pays(alice, first);
  await assert.rejects(pays(alice, second), { code: "payee-unfunded", message: /deposit of 1 unit helps/ });
  await later.deposit({ asset: "ETH", amount: 1n });
  assert.equal((await pays(alice, second)).status, "completed");
  assert.equal((await pays(alice, first)).status, "completed", "what is there goes on");
});

test("a hub without the policy says so in its terms, and to the payer", async () => {
  world = await createWorld({ hub: { strangers: { gas_per_day: 0n } } });
  const alice = await payer();
  const account = await nothing();
  await local(account);
  const response = await fetch(world.hubUrl, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "farthing_config", params: {} }),
  });
  const { result } = await response.json();
  assert.deepEqual(result.assets.map(({ strangerCollateral }) => strangerCollateral), ["0", "0"]);
  await assert.rejects(pays(alice, account), { code: "payee-unfunded" });
});
