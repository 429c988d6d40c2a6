// What strangers put into a channel in tokens that the hub does not list is no affair of the client's.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createWalletClient, http, parseEther } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { clientsOf } from "../support/clients.mjs";
import { artifact } from "../support/env.mjs";
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

/** A stranger's deposit of one unit of a token of its own, for each side. */
async function dusted(kit) {
  const { channel, contract } = JSON.parse(kit);
  const token = await world.chain.deploy("TestDai", []);
  const stranger = privateKeyToAccount((await world.account()).privateKey);
  await world.chain.fund(token, stranger.address, {});
  const wallet = createWalletClient({ account: stranger, chain: foundry, transport: http(world.rpcUrl) });
  const send = async (address, name, functionName, args) =>
    world.chain.mined(await wallet.writeContract({ address, abi: artifact(name).abi, functionName, args }));
  await send(token, "TestDai", "approve", [contract, 10n]);
  const definition = { ...channel, salt: BigInt(channel.salt) };
  for (const side of [0, 1]) await send(contract, "Farthing", "deposit", [definition, side, token, 1n]);
  await world.chain.admin.mine({ blocks: 5 });
  return token.toLowerCase();
}

/** Waits until the client has looked at all that is mined. */
async function looked(client) {
  const deposit = new Promise((resolve) => client.on("deposit", resolve));
  await client.deposit({ asset: "ETH", amount: 1n });
  await deposit;
}

test("close() names what is ours, and is not declined for a stranger's dust", async () => {
  const a = await world.account();
  const alice = await local(a);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  const token = await dusted(await alice.exportExitKit());
  await looked(alice);
  assert.ok(!(await alice.balances()).some((balance) => balance.token.toLowerCase() === token));
  await alice.close();
  assert.equal((await alice.balances()).find(({ asset }) => asset === "ETH").status, "closed");
});

test("an exit settles what is ours, and the kit names nothing else", async () => {
  const a = await world.account();
  const alice = await local(a);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  const token = await dusted(await alice.exportExitKit());
  await looked(alice);
  assert.ok(!(await alice.exportExitKit()).toLowerCase().includes(token.slice(2)));
  const { channelId } = alice.info;
  const passed = ({ stage, endsAt }) => stage === "challenge" && world.chain.passTo(endsAt / 1_000 + 1);
  await alice.exit({ onProgress: passed });
  const { abi } = artifact("Farthing");
  const of = (asset) => world.chain.reader.readContract({ address: world.contract, abi, functionName: "assetState", args: [channelId, asset] });
  assert.equal((await of(token)).status, 0);
  assert.equal((await of(`0x${"0".repeat(40)}`)).status, 2);
});
