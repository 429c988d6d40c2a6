// Injected wallets in front of a device or an older one: some sign no typed data, and say so in many ways; some sign only
// transactions as they were before types. The first are refused before any money moves, the others pay as anybody does.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { farthing } from "../support/env.mjs";
import { createWallet } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const clients = [];
let world;

before(async () => (world = await createWorld()));
after(async () => {
  await Promise.all(clients.map((client) => client.disconnect()));
  await world?.stop();
});

async function open(wallet, options = {}) {
  const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: "memory", pollInterval: 100, ...options });
  clients.push(client);
  return client;
}

async function newWallet() {
  const { privateKey } = await world.account();
  return Object.assign(createWallet({ privateKey, rpcUrl: world.rpcUrl }), { privateKey });
}

const told = (message, more) => Object.assign(new Error(message), more);

/** As wallets, and what passes their answers on, say that there is no typed data. */
const UNTYPED = {
  "4200": told("The method is not supported.", { code: 4200 }),
  "-32601": told("the method eth_signTypedData_v4 does not exist/is not available", { code: -32_601 }),
  "-32004": told("Method not supported", { code: -32_004 }),
  "4200, wrapped by a wallet": told("Internal JSON-RPC error.", { code: -32_603, data: { originalError: { code: 4200, message: "no" } } }),
  "-32601, wrapped by a library": told("could not coalesce error", { code: "UNKNOWN_ERROR", error: { code: -32_601, message: "no" } }),
  "a device's own words": told("Ledger: EIP-712 signing is not supported by this version of the app", { code: -32_603 }),
  "a keyring's own words": told("The keyring for the current address does not support the method signTypedData.", { code: -32_603 }),
};

for (const [how, error] of Object.entries(UNTYPED)) {
  test(`a wallet that signs no typed data (${how}) is refused before any money moves`, async () => {
    const wallet = await newWallet();
    wallet.answer.eth_signTypedData_v4 = () => Promise.reject(error);
    const before = await world.balanceOf(wallet.address);
    await assert.rejects(open(wallet), ({ code, message, cause }) => {
      assert.equal(code, "unsupported", message);
      assert.match(message, /signs no typed data \(EIP-712\)/);
      assert.equal(cause?.code, error.code);
      return true;
    });
    // Nor was it asked for another kind of signature, which any site could get.
    assert.deepEqual([wallet.sent.length, wallet.asked.filter((method) => /^(personal_sign|eth_sign)$/.test(method))], [0, []]);
    assert.equal(await world.balanceOf(wallet.address), before);
    // Its user changes to an account that is on no device.
    wallet.answer = {};
    await (await open(wallet)).deposit({ asset: "ETH", amount: 7n });
  });
}

test("what is no word on typed data is not taken for one", async () => {
  for (const [error, code] of [
    [told("Ledger: the device is locked", { code: -32_603 }), "wallet-unavailable"],
    [told("eth_signTypedData_v4: the network is not ready", { code: -32_603 }), "wallet-unavailable"],
    [told("User denied message signature: typed data is not supported by this user", { code: 4001 }), "wallet-rejected"],
    [told("The request is unsupported while another one waits", { code: -32_002 }), "wallet-unavailable"],
  ]) {
    const wallet = await newWallet();
    wallet.answer.eth_signTypedData_v4 = () => Promise.reject(error);
    await assert.rejects(open(wallet), (told) => told.code === code || assert.fail(`${error.message}: ${told.code}`));
    assert.equal(wallet.sent.length, 0);
  }
});

/** It fills in what is asked of it as it was before EIP-1559, and takes nothing that has a type or fees of one. */
async function oldDevice() {
  const wallet = await newWallet();
  const client = createWalletClient({ account: privateKeyToAccount(wallet.privateKey), chain: foundry, transport: http(world.rpcUrl) });
  wallet.types = [];
  wallet.answer.eth_sendTransaction = async ([{ to, value, data, ...others }]) => {
    const typed = ["type", "maxFeePerGas", "maxPriorityFeePerGas", "accessList"].filter((name) => name in others);
    if (typed.length > 0) throw told(`Unsupported transaction: ${typed.join()}`, { code: -32_602 });
    const hash = await client.sendTransaction({ to, data, value: BigInt(value ?? 0), type: "legacy" });
    wallet.types.push((await world.chain.reader.getTransaction({ hash })).type);
    return hash;
  };
  return wallet;
}

test("a wallet that signs only transactions without a type: deposits, approves, pays, withdraws and closes", async () => {
  const wallet = await oldDevice();
  const client = await open(wallet);
  await client.deposit({ asset: "ETH", amount: 1_000n });
  await client.deposit({ asset: "DAI", amount: 70n });
  assert.equal((await client.pay({ to: world.hub.owner, asset: "ETH", amount: 300n })).status, "completed");
  await client.withdraw({ asset: "ETH", amount: 200n });
  await client.close();
  assert.deepEqual((await client.balances()).map(({ available }) => available), [0n, 0n]);
  // ETH's deposit, the approval and DAI's, and what follows.
  assert.ok(wallet.types.length >= 4 && wallet.types.every((type) => type === "legacy"), wallet.types.join());
});

test("a wallet that signs but sends nothing is refused with no money moved, and its payments go on", async () => {
  const wallet = await newWallet();
  const client = await open(wallet);
  await client.deposit({ asset: "ETH", amount: 1_000n });
  for (const code of [4200, -32_601]) {
    wallet.answer.eth_sendTransaction = () => Promise.reject(told("not here", { code }));
    await assert.rejects(client.deposit({ asset: "ETH", amount: 5n }), (error) => {
      assert.deepEqual([error.code, error.cause?.code], ["wallet-unavailable", code]);
      assert.match(error.message, /It was never sent, and no money moved/);
      return true;
    });
  }
  await client.pay({ to: world.hub.owner, asset: "ETH", amount: 1n });
  assert.equal((await client.balances()).find(({ asset }) => asset === "ETH").available, 999n);
});
