// What may come later keeps nobody from a channel: evidence on chain, logs, claims, credits, and an RPC that gives little.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { createWalletClient, encodeFunctionData, http, parseEther, toFunctionSelector } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { clientsOf } from "../support/clients.mjs";
import { artifact } from "../support/env.mjs";
import { rpcProxy } from "../support/rpc-proxy.mjs";
import { createWorld } from "../support/world.mjs";

let proxies = [], world;
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await disconnectAll();
  await Promise.all(proxies.map((proxy) => proxy.close()));
  proxies = [];
  await world.hub.stop();
  await world.hub.start();
});
after(() => world?.stop());

async function refusing(refuse) {
  const proxy = await rpcProxy(world.rpcUrl, refuse);
  proxies.push(proxy);
  return proxy;
}

const noLogs = (method) => (method === "eth_getLogs" ? "query exceeds the range" : undefined);

/** Alice's stored channel, with a payment that Bob took while she was away and whose evidence is on chain. */
async function paidMeanwhile(name) {
  const [a, b] = [await world.account(), await world.account()];
  const [store, other] = [join(world.folder, `${name}-alice.sqlite`), join(world.folder, `${name}-bob.sqlite`)];
  const alice = await local(a, { store });
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  let bob = await local(b, { store: other });
  await bob.deposit({ asset: "ETH", amount: 1000n });
  await bob.disconnect();
  const { id, expiresAt } = await alice.pay({ to: b.address, asset: "ETH", amount: 7n });
  await alice.disconnect();
  bob = await local(b, { store: other });
  let [payment] = await bob.payments({ direction: "received" });
  for await (const event of payment?.status === "completed" ? [] : bob.events()) {
    if (event.type === "payment" && event.payment.status === "completed") {
      payment = event.payment;
      break;
    }
  }
  const { preimage } = payment;
  await bob.disconnect();
  await world.hub.stop("SIGKILL");
  const account = privateKeyToAccount("0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d");
  const wallet = createWalletClient({ account, chain: foundry, transport: http(world.rpcUrl) });
  const params = `0x${createHash("sha256").update(Buffer.from(preimage.slice(2), "hex")).digest("hex")}`;
  const args = ["0x000000000000000000000000000000000000fa01", params, BigInt(expiresAt) / 1000n, preimage];
  await world.chain.mined(await wallet.writeContract({ address: world.contract, abi: artifact("Farthing").abi, functionName: "recordEvidence", args }));
  await world.chain.admin.mine({ blocks: 5 });
  return { a, store, id, preimage };
}

const payment = async (client, id) => (await client.payments()).find((found) => found.id === id);

test("evidence on chain and an RPC without any logs: it opens, knows what was paid and has the receipt's preimage", async () => {
  const { a, store, id, preimage } = await paidMeanwhile("logs");
  const proxy = await refusing(noLogs);
  for (const hub of [false, true]) {
    if (hub) await world.hub.start();
    const alice = await local(a, { store, rpc: proxy.url });
    const found = await payment(alice, id);
    assert.deepEqual([found.status, found.preimage], ["completed", preimage], hub ? "with the hub" : "without the hub");
    assert.ok(JSON.parse(await alice.exportExitKit()).assets.length > 0);
    await alice.disconnect();
  }
});

test("nor does a node that refuses the views of what may come later, and it is told when it comes", async () => {
  const { a, store, id, preimage } = await paidMeanwhile("views");
  const later = ["unitsOf(bytes32)", "claimed(bytes32,address,uint8,uint16)", "credit(address,address)"].map((view) => toFunctionSelector(`function ${view}`));
  let refuses = true;
  const proxy = await refusing((method, params) => (refuses && (method === "eth_getLogs" || (method === "eth_call" && later.includes(params[0].data.slice(0, 10)))) ? "not now" : undefined));
  const alice = await local(a, { store, rpc: proxy.url });
  assert.equal((await payment(alice, id)).status, "held");
  const completed = new Promise((resolve) => alice.on("payment", (event) => event.payment.id === id && event.payment.status === "completed" && resolve(event.payment)));
  refuses = false;
  assert.equal((await completed).preimage, preimage);
});

test("logs come in ranges that the node answers", async () => {
  const a = await world.account();
  const span = ({ fromBlock, toBlock }) => Number(toBlock) - Number(fromBlock) + 1;
  const proxy = await refusing((method, [filter] = []) => (method === "eth_getLogs" && span(filter) > 5 ? "query exceeds max block range 5" : undefined));
  const alice = await local(a, { rpc: proxy.url, pollInterval: 50 });
  // More blocks at once than the node gives.
  await world.chain.admin.mine({ blocks: 40 });
  await alice.deposit({ asset: "ETH", amount: 1000n });
  assert.ok(proxy.refused.length > 0);
  assert.equal((await alice.balances()).find(({ asset }) => asset === "ETH").deposited, 1000n);
});

test("a contract that can't be read is not another contract", async () => {
  const a = await world.account();
  const bounds = encodeFunctionData({ abi: artifact("Farthing").abi, functionName: "minChallengePeriod" });
  const proxy = await refusing((method, params) => (method === "eth_call" && params[0].data === bounds ? "limit exceeded" : undefined));
  await assert.rejects(local(a, { rpc: proxy.url }), { code: "chain-unavailable" });
});
