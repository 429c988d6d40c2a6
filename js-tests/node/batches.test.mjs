// A token's approval and its deposit as one confirmation (EIP-5792): wallets that do it, that refuse it in every way, that lie
// about it; the chain decides, and the same call can be made again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createWalletClient, http } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { refusal, withBatches } from "../support/batches.mjs";
import { artifact, farthing } from "../support/env.mjs";
import { faultyRpc } from "../support/rpc-faults.mjs";
import { createSafe } from "../support/safe.mjs";
import { createWallet, rejection } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const clients = [];
let world;

before(async () => {
  world = await createWorld({ dai: { decimals: 6 }, tokens: { FEE: { contract: "FeeToken", decimals: 18, channel_capacity: 1_000_000_000n, max_payment: 1_000_000_000n, collateral: 1_000_000n, max_collateral: 1_000_000_000n, min_relayed_withdrawal: 1n } } });
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

async function open(wallet, options) {
  const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: "memory", pollInterval: 100, ...options });
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

test("a contract's account whose transactions others send, and a token with a fee: an answer that is lost is found on the chain", async () => {
  const safe = await createSafe(world);
  await world.chain.mint(world.tokens.FEE, safe.address, 10_000n);
  await world.chain.admin.mine({ blocks: 2 });
  const client = await open(safe.provider, { sessionKey: { privateKey: generatePrivateKey() } });
  const send = safe.own.eth_sendTransaction;
  let sent = 0;
  safe.own.eth_sendTransaction = async (params) => {
    const hash = await send(params);
    // The approval's answer arrives.
    if ((sent += 1) === 1) return hash;
    throw refusal(-32603);
  };
  const asked = () => client.deposit({ asset: "FEE", amount: 1_000n });
  await asked().catch(async (error) => {
    assert.equal(error.code, "wallet-unavailable");
    return asked();
  });
  assert.equal(sent, 2);
  assert.equal(await world.balanceOf(safe.address, "FEE"), 9_000n);
  assert.equal((await client.balances()).find(({ asset }) => asset === "FEE").deposited, 990n);
});

test("a node that is behind the wallet's: what the wallet says was carried out is waited for, and not asked for again", async () => {
  const wallet = await newWallet();
  const rpc = await faultyRpc(world.rpcUrl, []);
  const client = await open(wallet, { rpc: rpc.url });
  const { reader } = world.chain;
  const newest = await reader.request({ method: "eth_getBlockByNumber", params: ["latest", false] });
  let frozen = true;
  rpc.lie(({ method, params }) => {
    if (!frozen) return undefined;
    if (method === "eth_blockNumber") return newest.number;
    if (method === "eth_getBlockByNumber" && params[0] === "latest") return newest;
    if (method === "eth_getLogs" && params[0].toBlock === "latest") return [];
    return undefined;
  });
  // Its answer is lost; what it says later is true.
  wallet.answer.wallet_sendCalls = async (params) => (await wallet.own.wallet_sendCalls(params), new Promise(() => {}));
  await assert.rejects(dai(client, 70n, { timeout: 2_000 }), { code: "unanswered" });
  delete wallet.answer.wallet_sendCalls;
  let asked = 0;
  wallet.batching.told = ({ receipts, ...status }) => {
    if ((asked += 1) === 2) frozen = false;
    return { ...status, receipts: receipts.map(({ transactionHash, blockNumber }) => ({ transactionHash, blockNumber: `0x${blockNumber.toString(16)}`, status: "0x1" })) };
  };
  await dai(client);
  assert.deepEqual([wallet.batches.length, wallet.sent.length, await available(client)], [1, 0, 70n]);
  // The same where the answer came.
  const later = await reader.request({ method: "eth_getBlockByNumber", params: ["latest", false] });
  Object.assign(newest, later);
  [frozen, asked] = [true, 0];
  await dai(client, 30n);
  assert.deepEqual([wallet.batches.length, wallet.sent.length, await available(client)], [2, 0, 100n]);
  await client.disconnect();
  await rpc.close();
});

test("the answer to an approval that comes late is not taken for a deposit's", async () => {
  const wallet = await newWallet({ status: "unsupported" });
  const client = await open(wallet);
  const send = wallet.own.eth_sendTransaction;
  let answer;
  wallet.answer.eth_sendTransaction = (params) => new Promise((resolve) => (answer = async () => resolve(await send(params))));
  await assert.rejects(dai(client, 70n, { timeout: 1_500 }), { code: "wallet-unavailable" });
  wallet.answer.eth_accounts = async () => [world.contract];
  const eth = () => client.deposit({ asset: "ETH", amount: 5n });
  await assert.rejects(eth(), { code: "wallet-unavailable" });
  await answer();
  wallet.answer = {};
  await eth();
  assert.deepEqual(wallet.sent.map(({ value }) => BigInt(value ?? 0)), [0n, 5n]);
  assert.equal((await client.balances()).find(({ asset }) => asset === "ETH").available, 5n);
});
