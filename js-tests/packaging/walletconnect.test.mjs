// WalletConnect's provider as it is published, with a wallet at the other end of a session and a relay between them.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createWallet, rejection } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";
import { whole, workFolder } from "./support/work.mjs";

const skip = !whole;
let world, phone, opened, client;

before(async () => {
  if (skip) return;
  const { connect } = await import(join(workFolder("walletconnect"), "node_modules/farthing/node.mjs"));
  world = await createWorld();
  const { privateKey } = await world.account();
  phone = createWallet({ privateKey, rpcUrl: world.rpcUrl });
  const { session } = await import("./walletconnect/session.mjs");
  opened = await session({ chainId: world.chainId, rpcUrl: world.rpcUrl, phone });
  client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: opened.provider, store: "memory", pollInterval: 100 });
});
after(async () => {
  await client?.disconnect();
  await opened?.close();
  await world?.stop();
});

const eth = (amount) => ({ asset: "ETH", amount });
const available = async () => (await client.balances()).find(({ asset }) => asset === "ETH").available;

test("deposits, pays without a question, and withdraws", { skip }, async () => {
  assert.equal(client.info.address, phone.address);
  await client.deposit(eth(1_000n));
  const asked = phone.asked.length;
  assert.equal((await client.pay({ to: world.hub.owner, ...eth(100n) })).status, "completed");
  assert.equal(phone.asked.length, asked);
  await client.withdraw(eth(200n));
  assert.deepEqual([await available(), phone.sent.length], [700n, 2]);
});

test("its user's no, and the same call again", { skip }, async () => {
  for (const no of [rejection(), Object.assign(new Error("User rejected."), { code: 5_000 })]) {
    phone.answer.eth_sendTransaction = () => Promise.reject(no);
    await assert.rejects(client.deposit(eth(5n)), { code: "wallet-rejected" });
  }
  phone.answer = {};
  await client.deposit(eth(5n));
  assert.deepEqual([await available(), phone.sent.length], [705n, 3]);
});

test("the relay's sockets die while its user is in the app: the chain ends the call", { skip }, async () => {
  phone.answer.eth_sendTransaction = async (params) => {
    opened.relay.cut();
    return phone.own.eth_sendTransaction(params);
  };
  await client.deposit(eth(7n));
  assert.deepEqual([await available(), phone.sent.length], [712n, 4]);
  phone.answer = {};
  await client.deposit(eth(1n));
  assert.deepEqual([await available(), phone.sent.length], [713n, 5]);
});

test("the wallet ends the session: payments go on, and a deposit is refused before anything is sent", { skip }, async () => {
  const gone = new Promise((resolve) => opened.provider.on("disconnect", resolve));
  const [{ topic }] = opened.wallet.session.getAll();
  await opened.wallet.disconnect({ topic, reason: { code: 6_000, message: "User disconnected." } });
  await gone;
  await assert.rejects(client.deposit(eth(5n)), ({ name, code }) => name === "FarthingError" && ["wallet-unavailable", "chain-unavailable"].includes(code));
  assert.equal(phone.sent.length, 5);
  assert.equal((await client.pay({ to: world.hub.owner, ...eth(3n) })).status, "completed");
  assert.equal(await available(), 710n);
});
