// A token's approval and its deposit as one confirmation (EIP-5792): wallets that do it, that refuse it in every way, that lie
// about it; the chain decides, and the same call can be made again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { refusal, withBatches } from "../support/batches.mjs";
import { artifact, farthing } from "../support/env.mjs";
import { createWallet, rejection } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const clients = [];
let world;

before(async () => {
  world = await createWorld({ dai: { decimals: 6 } });
  // Its allowance must be zero before it is changed, as USDT's.
  const bytecode = await world.chain.reader.getCode({ address: await world.chain.deploy("WaryToken", []) });
  await world.chain.admin.setCode({ address: world.dai, bytecode });
});
after(async () => {
  await Promise.all(clients.map((client) => client.disconnect()));
  await world?.stop();
});

async function newWallet(wishes = {}) {
  const { privateKey } = await world.account();
  const wallet = createWallet({ privateKey, rpcUrl: world.rpcUrl });
  return Object.assign(withBatches(wallet, { privateKey, rpcUrl: world.rpcUrl, ...wishes }), { privateKey });
}

async function open(wallet) {
  const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: "memory", pollInterval: 100 });
  clients.push(client);
  return client;
}

const dai = (client, amount = 70n, options = {}) => client.deposit({ asset: "DAI", amount, ...options });
const available = async (client) => (await client.balances()).find(({ asset }) => asset === "DAI").available;
const count = (wallet, name) => wallet.asked.filter((method) => method === name).length;

test("one confirmation, with the allowance taken back first where the token wants it", async () => {
  const wallet = await newWallet();
  const client = await open(wallet);
  const account = privateKeyToAccount(wallet.privateKey);
  const alone = createWalletClient({ account, chain: foundry, transport: http(world.rpcUrl) });
  const { abi } = artifact("WaryToken");
  await world.chain.mined(await alone.writeContract({ address: world.dai, abi, functionName: "approve", args: [world.contract, 10n] }));
  const { hash } = await dai(client);
  assert.equal(await available(client), 70n);
  assert.equal(wallet.sent.length, 0);
  const [{ version, from, chainId, atomicRequired, calls, id }] = wallet.batches;
  assert.deepEqual([version, from, BigInt(chainId), atomicRequired, calls.length], ["2.0.0", wallet.address, 31337n, true, 3]);
  assert.match(id, /^0x[0-9a-f]{64}$/);
  assert.equal((await world.chain.reader.getTransactionReceipt({ hash })).status, "success");
  // With nothing left over there are two.
  await dai(client, 30n);
  assert.equal(wallet.batches[1].calls.length, 2);
  // An allowance that suffices needs no batch, and ETH none.
  await world.chain.mined(await alone.writeContract({ address: world.dai, abi, functionName: "approve", args: [world.contract, 5n] }));
  await dai(client, 5n);
  await client.deposit({ asset: "ETH", amount: 5n });
  assert.deepEqual([wallet.batches.length, wallet.sent.length], [2, 2]);
});

test("a wallet without atomic batches, or that does not say, is asked for two transactions", async () => {
  const answers = [
    () => Promise.reject(refusal(-32601)),
    () => Promise.reject(refusal(4200)),
    () => Promise.reject(refusal(4100)),
    () => { throw refusal(-32603); },
    async () => ({ "0x7a69": { atomic: { status: "unsupported" } } }),
    async () => ({ "0x1": { atomic: { status: "supported" } } }),
    async () => ({ "0x7a69": { atomicBatch: { supported: true } } }),
    async () => ({ get "0x7a69"() { throw new Error("no"); } }),
    async () => null,
    async () => "0x",
  ];
  for (const answer of answers) {
    const wallet = await newWallet();
    wallet.answer.wallet_getCapabilities = answer;
    const client = await open(wallet);
    await dai(client);
    assert.deepEqual([wallet.batches.length, wallet.sent.length, await available(client)], [0, 2, 70n]);
    // It is not asked again.
    await dai(client, 1n);
    assert.equal(count(wallet, "wallet_getCapabilities"), 1);
    await client.disconnect();
  }
});

test("capabilities in every form that says so", async () => {
  for (const name of ["0x7a69", "0X7A69", "0x007a69", "31337", "0x0"]) {
    const wallet = await newWallet();
    wallet.answer.wallet_getCapabilities = async () => ({ [name]: { atomic: { status: "ready" } } });
    const client = await open(wallet);
    await dai(client);
    assert.deepEqual([wallet.batches.length, wallet.sent.length], [1, 0], name);
    await client.disconnect();
  }
});

test("what the wallet can't batch is sent one by one, where it is certain that nothing was sent", async () => {
  for (const code of [4200, -32601, -32602, 5700, 5710, 5740, 5750, 5760]) {
    const wallet = await newWallet({ before: () => { throw refusal(code, "User rejected the upgrade."); } });
    const client = await open(wallet);
    await dai(client);
    assert.deepEqual([wallet.batches.length, wallet.sent.length, await available(client)], [1, 2, 70n], String(code));
    await client.disconnect();
  }
});

test("a refusal ends clearly, sends nothing else, and the same call can be made again", async () => {
  const wallet = await newWallet();
  const client = await open(wallet);
  for (const [thrown, code, words] of [
    [rejection(), "wallet-rejected", "othing was"],
    [refusal(4100), "wallet-unavailable", "never sent"],
    [refusal(-32603), "wallet-unavailable", "Whether it was sent is not known"],
    [refusal(4900), "wallet-unavailable", "Whether it was sent is not known"],
  ]) {
    wallet.batching.before = () => { throw thrown; };
    await assert.rejects(dai(client), (error) => {
      assert.deepEqual([error.code, error.cause?.code], [code, thrown.code], error.message);
      if (code !== "wallet-rejected") assert.ok(error.message.includes(words), error.message);
      return true;
    });
  }
  wallet.answer.wallet_sendCalls = () => new Promise(() => {});
  await assert.rejects(dai(client, 70n, { timeout: 1_500 }), ({ code, message }) => code === "unanswered" && message.includes("look there first"));
  assert.equal(wallet.sent.length, 0);
  delete wallet.answer.wallet_sendCalls;
  wallet.batching.before = undefined;
  await dai(client);
  assert.deepEqual([wallet.sent.length, await available(client)], [0, 70n]);
});

test("the answer is lost, and the batch was carried out: the chain ends the call, and asked again nothing is done twice", async () => {
  const wallet = await newWallet();
  const client = await open(wallet);
  // It never answers.
  wallet.answer.wallet_sendCalls = async (params) => (await wallet.own.wallet_sendCalls(params), new Promise(() => {}));
  const { hash } = await dai(client);
  assert.match(hash, /^0x[0-9a-f]{64}$/);
  assert.equal(await available(client), 70n);
  // It fails, after it did what it was asked for.
  wallet.answer.wallet_sendCalls = async (params) => (await wallet.own.wallet_sendCalls(params), Promise.reject(refusal(-32603)));
  const again = await dai(client, 30n).catch(async (error) => {
    assert.equal(error.code, "wallet-unavailable");
    return dai(client, 30n);
  });
  assert.match(again.hash, /^0x[0-9a-f]{64}$/);
  assert.deepEqual([wallet.batches.length, wallet.sent.length, await available(client)], [2, 0, 100n]);
});

test("ids of every form, and one that is there already", async () => {
  for (const answer of [(id) => id, (id) => ({ id }), () => ({ id: 7 }), () => ({}), () => ({ id: "" }), () => ({ id: "0x".padEnd(9_000, "a") }), () => null]) {
    const wallet = await newWallet({ answer });
    const client = await open(wallet);
    await dai(client);
    assert.deepEqual([wallet.batches.length, wallet.sent.length], [1, 0]);
    await client.disconnect();
  }
  const own = await newWallet({ id: () => "the wallet's own" });
  await dai(await open(own));
  const wallet = await newWallet();
  wallet.answer.wallet_sendCalls = async (params) => (await wallet.own.wallet_sendCalls(params), Promise.reject(refusal(5720)));
  const client = await open(wallet);
  await dai(client);
  assert.deepEqual([wallet.batches.length, await available(client)], [1, 70n]);
});

test("what the wallet says of a batch is nothing that the chain does not show", async () => {
  const receipt = { transactionHash: `0x${"11".repeat(32)}`, status: "0x1", blockNumber: "0x1", blockHash: `0x${"22".repeat(32)}`, gasUsed: "0x1", logs: [] };
  for (const told of [
    // Confirmed, by receipts of other transactions, or by none.
    () => ({ status: 200, receipts: [receipt] }),
    () => ({ status: "CONFIRMED", receipts: [] }),
    () => ({ status: 400 }),
    () => ({ status: 500, receipts: [receipt] }),
    () => ({ status: 600 }),
  ]) {
    // It was not carried out at all.
    const wallet = await newWallet({ told, only: 0 });
    const client = await open(wallet);
    await assert.rejects(dai(client), ({ code, message }) => code === "transaction-failed" && message.includes("the chain shows no deposit"));
    assert.equal(await available(client).catch(() => 0n), 0n);
    wallet.batching.only = undefined;
    // Whatever it says then, the deposit is there, and it is one.
    await dai(client);
    assert.deepEqual([await available(client), wallet.batches.length, wallet.sent.length], [70n, 2, 0]);
    await client.disconnect();
  }
});

test("a wallet that lied about atomicity and did a part: the approval is used the next time", async () => {
  const wallet = await newWallet({ only: 1, told: () => ({ status: 600 }) });
  const client = await open(wallet);
  await assert.rejects(dai(client), ({ code, message }) => code === "transaction-failed" && message.includes("An approval may stand"));
  await dai(client);
  assert.deepEqual([await available(client), wallet.batches.length, wallet.sent.length], [70n, 1, 1]);
});

test("a status that never ends, is unknown, hangs or is nonsense ends nothing that the chain shows", async () => {
  for (const told of [() => ({ status: 100 }), () => Promise.reject(refusal(5730)), () => ({ status: "?" }), () => null, () => ({ status: 1 })]) {
    const wallet = await newWallet({ told });
    const client = await open(wallet);
    await dai(client);
    assert.equal(await available(client), 70n);
    await client.disconnect();
  }
  const wallet = await newWallet({ told: () => ({ status: 100 }), only: 0 });
  const client = await open(wallet);
  await assert.rejects(dai(client, 70n, { timeout: 1_500 }), { code: "unanswered" });
  // It may still be done: it is looked for, and no other one is asked for.
  await assert.rejects(dai(client, 70n, { timeout: 1_500 }), { code: "unanswered" });
  assert.equal(wallet.batches.length, 1);
  wallet.batching.told = () => ({ status: 400 });
  wallet.batching.only = undefined;
  await dai(client);
  assert.deepEqual([wallet.batches.length, wallet.sent.length, await available(client)], [2, 0, 70n]);
});
