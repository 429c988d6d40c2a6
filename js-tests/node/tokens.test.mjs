// Tokens as they are: what USDT does differently.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { clientsOf } from "../support/clients.mjs";
import { artifact } from "../support/env.mjs";
import { settled } from "../support/settled.mjs";
import { createWorld } from "../support/world.mjs";

let world;
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld({ dai: { decimals: 6 } });
  const { chain, dai } = world;
  // The world's token turns into one like USDT; both keep balances and allowances in the same places.
  const bytecode = await chain.reader.getCode({ address: await chain.deploy("WaryToken", []) });
  await chain.admin.setCode({ address: dai, bytecode });
});
after(async () => {
  await disconnectAll();
  await world?.stop();
});

test("an allowance that is left over is taken back first where the token wants it; and every unit comes home", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const { reader, mined } = world.chain;
  const account = privateKeyToAccount(a.privateKey);
  const wallet = createWalletClient({ account, chain: foundry, transport: http(world.rpcUrl) });
  const { abi } = artifact("WaryToken");
  const approve = { address: world.dai, abi, functionName: "approve", args: [world.contract, 10n] };
  await mined(await wallet.writeContract(approve));
  await assert.rejects(reader.simulateContract({ ...approve, account, args: [world.contract, 1_000n] }), "the token wants zero first");
  const [had, sent] = [await world.balanceOf(a.address, "DAI"), await reader.getTransactionCount({ address: a.address })];

  const alice = await local(a);
  await alice.deposit({ asset: "DAI", amount: 1_000n });
  assert.equal(await reader.getTransactionCount({ address: a.address }), sent + 3);
  // Nothing is left over now, and nothing has to be taken back.
  await alice.deposit({ asset: "DAI", amount: 500n });
  assert.equal(await reader.getTransactionCount({ address: a.address }), sent + 5);
  assert.equal(await reader.readContract({ address: world.dai, abi, functionName: "allowance", args: [a.address, world.contract] }), 0n);

  const bob = await local(b);
  const paid = await alice.pay({ to: b.address, asset: "DAI", amount: 600n });
  assert.equal(paid.status, "completed");
  assert.equal((await settled(bob, "DAI")).available, 600n);
  const before = await world.balanceOf(b.address, "DAI");
  await bob.withdraw({ asset: "DAI", amount: 600n });
  assert.equal(await world.balanceOf(b.address, "DAI"), before + 600n);
  await alice.close();
  assert.equal(await world.balanceOf(a.address, "DAI"), had - 600n);
});
