// What is signed and could not be sent: a withdrawal goes to the account that it was for, once, however often it is
// asked for, and a closing goes on.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { clientsOf } from "../support/clients.mjs";
import { faultyRpc } from "../support/rpc-faults.mjs";
import { createWallet, rejection } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

let world;
const proxies = [];
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
});
after(async () => {
  await disconnectAll();
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await world?.stop();
});

/** A node whose pool is full, until `allow` is called. */
async function fullNode() {
  const rpc = await faultyRpc(world.rpcUrl, []);
  proxies.push(rpc);
  const error = { code: -32000, message: "txpool is full" };
  const fill = () =>
    (rpc.rules.answer = ({ method, id }) =>
      method === "eth_sendRawTransaction" ? { body: () => JSON.stringify({ jsonrpc: "2.0", id, error }) } : undefined);
  return { url: rpc.url, fill, allow: () => (rpc.rules.answer = undefined) };
}

const fresh = () => privateKeyToAccount(generatePrivateKey()).address;
const eth = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH");
const has = (address) => world.balanceOf(address);

async function withWallet() {
  const { privateKey } = await world.account();
  const wallet = createWallet({ privateKey, rpcUrl: world.rpcUrl });
  const client = await local({}, { wallet });
  await client.deposit({ asset: "ETH", amount: 1_000n });
  return { wallet: Object.assign(wallet, { privateKey }), client };
}

function terms(json) {
  const { domain, types, primaryType, message } = JSON.parse(json);
  const { EIP712Domain: _, ...rest } = types;
  return { domain, types: rest, primaryType, message };
}

/** The first transaction of a withdrawal is not taken, by a wallet's user or by a node. */
const refusals = {
  async "the user says no"() {
    const { wallet, client } = await withWallet();
    wallet.refuse.eth_sendTransaction = rejection();
    return { client, code: "wallet-rejected", allow: () => (wallet.refuse.eth_sendTransaction = undefined) };
  },
  async "the wallet is not there"() {
    const { wallet, client } = await withWallet();
    wallet.refuse.eth_sendTransaction = Object.assign(new Error("disconnected"), { code: 4900 });
    return { client, code: "wallet-unavailable", allow: () => (wallet.refuse.eth_sendTransaction = undefined) };
  },
  async "the node's pool is full"() {
    const { url, fill, allow } = await fullNode();
    const client = await local(await world.account(), { rpc: url });
    await client.deposit({ asset: "ETH", amount: 1_000n });
    fill();
    return { client, code: "transaction-failed", allow };
  },
};

for (const [name, refuse] of Object.entries(refusals)) {
  test(`${name}: what was signed goes to its own recipient, once`, async () => {
    const { client, code, allow } = await refuse();
    const [x, y] = [fresh(), fresh()];
    const toX = { asset: "ETH", amount: 400n, to: x };
    await assert.rejects(client.withdraw(toX), (error) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, /A withdrawal is signed, and may be paid out until .*The same call goes on with it\./);
      assert.doesNotMatch(error.message, /may refuse this asset|signed and sent nothing/);
      return true;
    });
    allow();
    for (const other of [{ ...toX, to: y }, { ...toX, amount: 100n }, { ...toX, to: undefined }]) {
      await assert.rejects(client.withdraw(other), { code: "unanswered", message: /^Nothing new was signed\. A withdrawal of .* is signed and may be paid out until/ });
    }
    assert.equal((await eth(client)).available, 600n, "nothing else was signed");
    await client.withdraw(toX);
    assert.deepEqual([await has(x), await has(y)], [400n, 0n]);
    await client.withdraw({ ...toX, amount: 100n, to: y });
    assert.deepEqual([await has(x), await has(y)], [400n, 100n]);
    assert.equal((await eth(client)).available, 500n);
  });
}

test("withdrawals to one account at once add up; one to another waits for them", async () => {
  const client = await local(await world.account());
  await client.deposit({ asset: "ETH", amount: 1_000n });
  const [x, y] = [fresh(), fresh()];
  const both = [100n, 100n].map((amount) => client.withdraw({ asset: "ETH", amount, to: x }));
  await new Promise((resolve) => {
    const look = async () => ((await eth(client)).available < 1_000n ? resolve() : setImmediate(look));
    look();
  });
  await assert.rejects(client.withdraw({ asset: "ETH", amount: 50n, to: y }), { code: "unanswered" });
  await Promise.all(both);
  await client.withdraw({ asset: "ETH", amount: 50n, to: y });
  assert.deepEqual([await has(x), await has(y)], [200n, 50n]);
});

test("an owner who signs late signs nothing that another withdrawal has made wrong", async () => {
  const { wallet, client } = await withWallet();
  const x = fresh();
  const sign = (params) => privateKeyToAccount(wallet.privateKey).signTypedData(terms(params[1]));
  let asked, signed;
  const [waiting, agreed] = [new Promise((resolve) => (asked = resolve)), new Promise((resolve) => (signed = resolve))];
  wallet.answer.eth_signTypedData_v4 = async (params) => (asked(), await agreed, sign(params));
  const late = client.withdraw({ asset: "ETH", amount: 100n, to: x });
  await waiting;
  wallet.answer.eth_signTypedData_v4 = sign;
  await client.withdraw({ asset: "ETH", amount: 50n, to: x });
  signed();
  await assert.rejects(late, { code: "chain-stale", message: /the owner's signature fits no more\. No money moved; call again\.$/ });
  assert.deepEqual([await has(x), (await eth(client)).available], [50n, 950n]);
  await client.withdraw({ asset: "ETH", amount: 100n, to: x });
  assert.equal(await has(x), 150n);
});

test("a withdrawal that could not be sent is sent after a restart, and paid once", async () => {
  const [account, x] = [await world.account(), fresh()];
  const { url, fill, allow } = await fullNode();
  const store = `${world.folder}/payout.sqlite`;
  const first = await local(account, { rpc: url, store });
  await first.deposit({ asset: "ETH", amount: 1_000n });
  fill();
  await assert.rejects(first.withdraw({ asset: "ETH", amount: 400n, to: x }), { code: "transaction-failed" });
  await first.disconnect();
  allow();
  const second = await local(account, { rpc: url, store });
  await new Promise((resolve) => {
    const look = async () => ((await eth(second)).withdrawn === 400n ? resolve() : setTimeout(look, 50));
    look();
  });
  assert.deepEqual([await has(x), (await eth(second)).available], [400n, 600n]);
  await second.disconnect();
});

test("a closing that the user did not send goes on when it is asked for again", async () => {
  const { wallet, client } = await withWallet();
  wallet.refuse.eth_sendTransaction = rejection();
  await assert.rejects(client.close(), { code: "wallet-rejected", message: /A closing is signed, and may be mined until .*The same call goes on with it\./ });
  await assert.rejects(client.pay({ to: world.hub.owner, asset: "ETH", amount: 1n }), { code: "channel-closing" });
  wallet.refuse.eth_sendTransaction = undefined;
  await client.close();
  assert.equal((await eth(client)).status, "closed");
});
