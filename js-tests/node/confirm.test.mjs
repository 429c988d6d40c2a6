// Each payment confirmed before it is signed: by a function of the application, or in the wallet by a message that people can read.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { farthing } from "../support/env.mjs";
import { createWallet, rejection } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const clients = [];
let world, payee;

before(async () => {
  world = await createWorld();
  const { privateKey, address } = await world.account();
  await open({ privateKey });
  payee = address;
});
after(async () => {
  await Promise.all(clients.map((client) => client.disconnect()));
  await world?.stop();
});

async function open(wallet, options) {
  const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: "memory", pollInterval: 100, ...options });
  clients.push(client);
  return client;
}

const eth = (amount) => ({ asset: "ETH", amount });
const available = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH").available;

test("a function is told of each payment and each stream, and nothing but true pays", async () => {
  const { privateKey } = await world.account();
  const told = [];
  let answer = true;
  const client = await open({ privateKey }, { confirm: (payment) => (told.push(payment), typeof answer === "function" ? answer() : answer) });
  await client.deposit(eth(1_000n));
  await client.pay({ to: payee, ...eth(10n), memo: "one" });
  await client.stream({ to: payee, asset: "ETH", unitPrice: 2n, units: 50 });
  assert.deepEqual(told, [
    { kind: "payment", to: payee, asset: "ETH", amount: 10n, memo: "one" },
    { kind: "stream", to: payee, asset: "ETH", amount: 100n, unitPrice: 2n, units: 50 },
  ]);
  const before = (await client.payments()).length;
  for (const no of [false, undefined, 1, "true", {}, () => { throw new Error("mine"); }, () => Promise.reject(new Error("mine"))]) {
    answer = no;
    await assert.rejects(client.pay({ to: payee, ...eth(10n) }), ({ code, message }) => code === "wallet-rejected" && message.includes("Nothing was signed or paid"));
  }
  answer = () => new Promise(() => {});
  await assert.rejects(client.pay({ to: payee, ...eth(10n), timeout: 50 }), { code: "wallet-unavailable" });
  await assert.rejects(client.pay({ to: payee, ...eth(10n), signal: AbortSignal.abort() }), { code: "aborted" });
  assert.equal((await client.payments()).length, before);
  answer = async () => true;
  assert.equal((await client.pay({ to: payee, ...eth(10n) })).status, "completed");
});

test("what was confirmed is what is paid, whatever the caller does with its options meanwhile", async () => {
  const { privateKey } = await world.account();
  let meanwhile;
  const told = [];
  const client = await open({ privateKey }, { confirm: async (payment) => (told.push(payment.amount), meanwhile?.(), true) });
  await client.deposit(eth(1_000n));
  const changed = { to: payee, ...eth(10n) };
  meanwhile = () => (changed.amount = 500n);
  assert.equal((await client.pay(changed)).amount, 10n);
  const counted = { to: payee, asset: "ETH", unitPrice: 1n, units: 10 };
  meanwhile = () => (counted.units = 500);
  await (await client.stream(counted)).end?.();
  meanwhile = undefined;
  let read = 0;
  const shifting = { to: payee, asset: "ETH", get amount() { return (read += 1) === 1 ? 10n : 500n; } };
  assert.equal((await client.pay(shifting)).amount, 10n);
  assert.deepEqual(told, [10n, 10n, 10n]);
  assert.deepEqual((await client.payments()).map(({ amount }) => amount), [10n, 10n, 10n]);
  const unreadable = { to: payee, asset: "ETH", get amount() { throw new Error("mine"); } };
  await assert.rejects(client.pay(unreadable), ({ code, message }) => code === "invalid-argument" && message.includes("Nothing was signed"));
  assert.equal(told.length, 3);
});

test("in the wallet: payee, amount and asset can be read; a refusal pays nothing, and the same call pays", async () => {
  const { privateKey } = await world.account();
  const wallet = createWallet({ privateKey, rpcUrl: world.rpcUrl });
  const client = await open(wallet, { confirm: "wallet" });
  await client.deposit(eth(1_000n));
  const seen = [];
  wallet.answer.eth_signTypedData_v4 = (params) => (seen.push(JSON.parse(params[1])), wallet.own.eth_signTypedData_v4(params));
  await client.pay({ to: payee, ...eth(10n) });
  await client.stream({ to: payee, asset: "ETH", unitPrice: 2n, units: 50 });
  assert.deepEqual(seen.map(({ message }) => [message.payee, message.amount]), [[payee, "0.00000000000000001 ETH"], [payee, "0.0000000000000001 ETH"]]);
  assert.match(seen[1].message.purpose, /^Up to so much, unit by unit/);
  const before = await available(client);
  wallet.answer.eth_signTypedData_v4 = () => Promise.reject(rejection());
  await assert.rejects(client.pay({ to: payee, ...eth(10n) }), ({ code, message }) => code === "wallet-rejected" && message.includes("Nothing was paid"));
  // A signature of somebody else is no consent.
  const stranger = createWallet({ privateKey: (await world.account()).privateKey, rpcUrl: world.rpcUrl });
  wallet.answer.eth_signTypedData_v4 = ([, json]) => stranger.own.eth_signTypedData_v4([stranger.address, json]);
  await assert.rejects(client.pay({ to: payee, ...eth(10n) }), { code: "unsupported" });
  assert.equal(await available(client), before);
  wallet.answer = {};
  await client.pay({ to: payee, ...eth(10n) });
  assert.equal(await available(client), before - 10n);
});

test("what can't confirm is refused before anything is opened", async () => {
  const { privateKey } = await world.account();
  for (const confirm of ["wallet", "app", 5, true]) await assert.rejects(open({ privateKey }, { confirm }), { code: "invalid-argument" });
});
