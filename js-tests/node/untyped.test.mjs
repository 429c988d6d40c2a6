// Devices that sign, and nodes that take, only transactions as they were before types (EIP-2718).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseTransaction } from "viem";
import { privateKeyToAccount, toAccount } from "viem/accounts";
import { farthing } from "../support/env.mjs";
import { rpcProxy } from "../support/rpc-proxy.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const clients = [];
let world, node;

before(async () => {
  world = await createWorld();
  node = await rpcProxy(world.rpcUrl, (method, [raw]) => (method === "eth_sendRawTransaction" && raw.startsWith("0x02") ? "transaction type not supported" : undefined));
});
after(async () => {
  await Promise.all(clients.map((client) => client.disconnect()));
  await node?.close();
  await world?.stop();
});

async function open(wallet, rpc) {
  const client = await connect({ hub: world.hubUrl, rpc, wallet, store: "memory", pollInterval: 100 });
  clients.push(client);
  return client;
}

/** Deposits, takes some out by transactions of its own, and says of which types they were. */
async function whole(client, address) {
  const { reader } = world.chain;
  const start = await reader.getBlockNumber();
  await client.deposit({ asset: "ETH", amount: 1_000n });
  await client.withdraw({ asset: "ETH", amount: 400n });
  const types = [];
  for (let blockNumber = start + 1n; blockNumber <= (await reader.getBlockNumber()); blockNumber += 1n) {
    const { transactions } = await reader.getBlock({ blockNumber, includeTransactions: true });
    types.push(...transactions.filter(({ from }) => from === address.toLowerCase()).map(({ type }) => type));
  }
  assert.equal((await client.balances()).find(({ asset }) => asset === "ETH").available, 600n);
  return types;
}

test("a key, where the node takes no types: refused once, and then as it takes them", async () => {
  const { privateKey, address } = await world.account();
  const before = node.refused.length;
  assert.deepEqual(await whole(await open({ privateKey }, node.url), address), ["legacy", "legacy"]);
  assert.equal(node.refused.length - before, 1);
});

test("an account of a library, likewise, under the number of the one that was refused", async () => {
  const { privateKey, address } = await world.account();
  const before = node.refused.length;
  assert.deepEqual(await whole(await open(privateKeyToAccount(privateKey), node.url), address), ["legacy", "legacy"]);
  assert.deepEqual(node.refused.slice(before).map(({ params: [raw] }) => parseTransaction(raw).nonce ?? 0), [0, 1]);
});

test("a device that signs no types, and its user's no, which is asked for once", async () => {
  const { privateKey, address } = await world.account();
  const key = privateKeyToAccount(privateKey);
  const asked = [];
  let refuse;
  const device = toAccount({
    address,
    signMessage: (message) => key.signMessage(message),
    signTypedData: (data) => key.signTypedData(data),
    async signTransaction(transaction) {
      asked.push(transaction.type);
      if (refuse) throw refuse;
      if (transaction.type !== "legacy") throw new Error("Unsupported transaction type: 2");
      return key.signTransaction(transaction);
    },
  });
  const client = await open(device, world.rpcUrl);
  assert.deepEqual(await whole(client, address), ["legacy", "legacy"]);
  asked.length = 0;
  refuse = Object.assign(new Error("User rejected this transaction type"), { code: 4001 });
  await assert.rejects(client.deposit({ asset: "ETH", amount: 1n }), { code: "wallet-rejected" });
  assert.deepEqual(asked, ["eip1559"]);
  refuse = undefined;
  await client.deposit({ asset: "ETH", amount: 1n });
});
