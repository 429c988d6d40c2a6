// Accounts of keys that delegate to code (EIP-7702), by transactions of type 4: every call, while the delegation comes,
// changes and goes. Anvil's only.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createWalletClient, hashTypedData, http, parseEther, zeroAddress } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { farthing } from "../support/env.mjs";
import { createWallet } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const ETHER = parseEther("1");
let world;
let folder;
const open = [];

before(async () => {
  world = await createWorld();
  folder = mkdtempSync(join(tmpdir(), "farthing-delegated-"));
});
after(async () => {
  await Promise.allSettled(open.map((client) => client.disconnect()));
  await world.stop();
  rmSync(folder, { recursive: true, force: true });
});

let stores = 0;
const place = () => join(folder, `${(stores += 1)}.sqlite`);

async function client(wallet, options = {}) {
  const connected = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: place(), pollInterval: 100, confirmations: 1, ...options });
  open.push(connected);
  return connected;
}

async function payer() {
  const bob = await client({ privateKey: (await world.account()).privateKey }, { store: "memory" });
  await bob.deposit({ asset: "ETH", amount: ETHER });
  return bob;
}

/** `delegate(to)` has the account delegate, by its own transaction; `byCode` has its wallet sign by the code's rule. */
async function account() {
  const { privateKey, address } = await world.account();
  const key = privateKeyToAccount(privateKey);
  const wallet = createWallet({ privateKey, rpcUrl: world.rpcUrl });
  const sender = createWalletClient({ account: key, chain: foundry, transport: http(world.rpcUrl) });
  const byKey = wallet.own.eth_signTypedData_v4;
  const code = () => world.chain.reader.getCode({ address });
  const delegate = async (to) => {
    const authorization = await sender.signAuthorization({ contractAddress: to, executor: "self" });
    const { status } = await world.chain.mined(await sender.sendTransaction({ authorizationList: [authorization], to: address }));
    assert.equal(status, "success");
    assert.equal((await code())?.toLowerCase(), to === zeroAddress ? undefined : `0xef0100${to.slice(2).toLowerCase()}`);
    await world.chain.admin.mine({ blocks: 3 });
  };
  const byCode = (on) => {
    wallet.own.eth_signTypedData_v4 = !on
      ? byKey
      : async ([, json]) => {
          const { domain, types, primaryType, message } = JSON.parse(json);
          const { EIP712Domain: _, ...rest } = types;
          const { abi } = (await import("../support/env.mjs")).artifact("Delegate");
          const args = [hashTypedData({ domain, types: rest, primaryType, message })];
          return key.sign({ hash: await world.chain.reader.readContract({ address, abi, functionName: "messageHash", args }) });
        };
  };
  return { wallet, address, delegate, byCode };
}

const somebody = async () => (await world.account({ eth: 0n, dai: 0n })).address;
const code = () => world.chain.deploy("Delegate", []);

test("an account opens, delegates in the middle, and is paid, pays, withdraws and closes as before", async () => {
  const { wallet, address, delegate } = await account();
  const store = place();
  const first = await client(wallet, { store });
  await first.deposit({ asset: "ETH", amount: ETHER });
  await delegate(await code());
  const [bob, elsewhere] = [await payer(), await somebody()];
  await bob.pay({ to: address, asset: "ETH", amount: 1000n });
  await first.pay({ to: bob.info.address, asset: "ETH", amount: 500n });
  await first.withdraw({ asset: "ETH", amount: 10n, to: elsewhere });
  await first.deposit({ asset: "DAI", amount: ETHER });
  const { signer } = first.info;
  await first.disconnect();
  // Another code, and the key is made again by the same signature.
  await delegate(await code());
  const again = await client(wallet, { store });
  assert.equal(again.info.signer, signer);
  await again.withdraw({ asset: "ETH", amount: 10n, to: elsewhere });
  assert.equal(await world.balanceOf(elsewhere), 20n);
  await again.withdraw({ asset: "ETH", amount: 30n });
  await delegate(zeroAddress);
  const dai = await world.balanceOf(address, "DAI");
  await again.close();
  assert.equal(await world.balanceOf(address, "DAI"), dai + ETHER);
});

test("it leaves by its own transaction while it delegates", async () => {
  const { wallet, address, delegate } = await account();
  await delegate(await code());
  const alice = await client(wallet);
  await alice.deposit({ asset: "DAI", amount: ETHER });
  const before = await world.balanceOf(address, "DAI");
  await alice.exit({
    onProgress: ({ stage, endsAt }) => stage === "challenge" && void world.chain.passTo(BigInt(Math.ceil(endsAt / 1000)) + 1n),
  });
  assert.equal(await world.balanceOf(address, "DAI"), before + ETHER);
});

test("a wallet that signs by the code's rule has a key drawn, is paid, and withdraws to another", async () => {
  const { wallet, address, delegate, byCode } = await account();
  await delegate(await code());
  byCode(true);
  const store = place();
  const alice = await client(wallet, { store });
  await alice.deposit({ asset: "ETH", amount: ETHER });
  const [bob, elsewhere] = [await payer(), await somebody()];
  await bob.pay({ to: address, asset: "ETH", amount: 1000n });
  await alice.withdraw({ asset: "ETH", amount: 10n, to: elsewhere });
  assert.equal(await world.balanceOf(elsewhere), 10n);
});

test("what the code bound is bound by the key when the delegation is gone, and stays so when it is back", async () => {
  const { wallet, address, delegate, byCode } = await account();
  await delegate(await code());
  byCode(true);
  const store = place();
  const first = await client(wallet, { store });
  await first.deposit({ asset: "ETH", amount: ETHER });
  const { channelId } = first.info;
  await delegate(zeroAddress);
  byCode(false);
  const bob = await payer();
  await assert.rejects(bob.pay({ to: address, asset: "ETH", amount: 1n }), { code: "unknown-payee" });
  await first.disconnect();
  const again = await client(wallet, { store });
  assert.equal(again.info.channelId, channelId);
  await (await payer()).pay({ to: address, asset: "ETH", amount: 1n });
  await delegate(await code());
  await (await payer()).pay({ to: address, asset: "ETH", amount: 1n });
  // The key goes on counting, so its withdrawal elsewhere does, too.
  const elsewhere = await somebody();
  await again.withdraw({ asset: "ETH", amount: 10n, to: elsewhere });
  assert.equal(await world.balanceOf(elsewhere), 10n);
});
