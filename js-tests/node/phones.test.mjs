// Wallets on another device, as by WalletConnect: a relay that dies while its user is in the wallet's app, answers that come late,
// never, or as an error although it was done. What was done is found on the chain, and nothing is asked for twice.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
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

/** A provider of WalletConnect's shape: `session`, `on`, `request`, and a relay. */
async function newPhone() {
  const { privateKey } = await world.account();
  const wallet = createWallet({ privateKey, rpcUrl: world.rpcUrl });
  return Object.assign(wallet, { session: { topic: "0" }, isWalletConnect: true, connected: true });
}

async function open(wallet, options) {
  const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: "memory", pollInterval: 100, ...options });
  clients.push(client);
  return client;
}

const relayed = (message, code) => Object.assign(new Error(message), code && { code });
const deposit = (client, options) => client.deposit({ asset: "ETH", amount: 7n, ...options });
const available = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH").available;
const done = (wallet, then) => async (params) => (await wallet.own.eth_sendTransaction(params), then());

test("it was sent and the answer never comes: the chain ends the call", async () => {
  const wallet = await newPhone();
  const client = await open(wallet);
  wallet.answer.eth_sendTransaction = done(wallet, () => new Promise(() => {}));
  const { hash } = await deposit(client);
  assert.match(hash, /^0x[0-9a-f]{64}$/);
  assert.deepEqual([wallet.sent.length, await available(client)], [1, 7n]);
});

test("it was sent and the answer is an error of the relay: the same call finds it, and asks for no other", async () => {
  const wallet = await newPhone();
  const client = await open(wallet);
  for (const [at, error] of [relayed("Socket stalled when trying to connect"), relayed("x", 4900), relayed("Request expired. Please try again.", 8000), relayed("x", -32603)].entries()) {
    wallet.answer.eth_sendTransaction = done(wallet, () => Promise.reject(error));
    const told = await deposit(client).catch((failure) => failure);
    if (told instanceof Error) {
      assert.equal(told.code, "wallet-unavailable", told.message);
      assert.ok(told.message.includes("Whether it was sent is not known"), told.message);
      await deposit(client);
    }
    assert.deepEqual([wallet.sent.length, await available(client)], [at + 1, 7n * BigInt(at + 1)]);
  }
  // And now it is another one that is asked for.
  wallet.answer = {};
  await deposit(client);
  assert.equal(wallet.sent.length, 5);
});

test("it was sent, is not mined yet, and its caller has stopped waiting: the same call waits for it", async () => {
  const wallet = await newPhone();
  const client = await open(wallet);
  const { admin } = world.chain;
  await admin.setIntervalMining({ interval: 0 });
  await admin.setAutomine(false);
  let answered;
  wallet.answer.eth_sendTransaction = done(wallet, () => (answered?.(), new Promise(() => {})));
  const asked = new Promise((resolve) => (answered = resolve));
  const stop = new AbortController();
  const first = deposit(client, { signal: stop.signal });
  await asked;
  stop.abort();
  await assert.rejects(first, { code: "aborted" });
  const again = deposit(client);
  await admin.setIntervalMining({ interval: 1 });
  await again;
  assert.deepEqual([wallet.sent.length, await available(client)], [1, 7n]);
});

test("its answer comes when nobody waits any more: the same call takes it", async () => {
  const wallet = await newPhone();
  const client = await open(wallet);
  let agree;
  wallet.answer.eth_sendTransaction = (params) => new Promise((resolve) => (agree = async () => resolve(await wallet.own.eth_sendTransaction(params))));
  await assert.rejects(deposit(client, { timeout: 500 }), ({ code, message }) => code === "unanswered" && message.includes("look there first"));
  await agree();
  await deposit(client);
  assert.deepEqual([wallet.sent.length, await available(client)], [1, 7n]);
});

test("the session ends while it is asked: each question ends, and after a new one the same call succeeds", async () => {
  const wallet = await newPhone();
  const leaves = () => {
    // The relay tells of it after the question.
    setImmediate(() => (wallet.emit("session_delete", { topic: "0" }), wallet.emit("disconnect", relayed("User disconnected.", 6000))));
    return new Promise(() => {});
  };
  wallet.answer.eth_signTypedData_v4 = leaves;
  await assert.rejects(open(wallet), ({ code, message }) => code === "wallet-unavailable" && message.includes("disconnected"));
  wallet.answer = {};
  const client = await open(wallet);
  wallet.answer.eth_sendTransaction = leaves;
  await assert.rejects(deposit(client), ({ code, message }) => code === "wallet-unavailable" && message.includes("look into the wallet before you try again"));
  wallet.answer = {};
  wallet.emit("connect", { chainId: "0x7a69" });
  await deposit(client);
  assert.deepEqual([wallet.sent.length, await available(client)], [1, 7n]);
});
