// A user with tokens and no ETH: the hub sends what the user signed, and nothing else.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { getAddress } from "viem";
import { createProxy } from "../adversary/proxy.mjs";
import { clientsOf } from "../support/clients.mjs";
import { artifact, farthing } from "../support/env.mjs";
import { settled } from "../support/settled.mjs";
import { rpcProxy } from "../support/rpc-proxy.mjs";
import { createWallet } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
const FEE = 50n;
const small = { channel_capacity: 1_000_000_000n, max_payment: 1_000_000_000n, collateral: 1_000_000n, max_collateral: 1_000_000_000n, min_relayed_withdrawal: 1n };
const TOKENS = {
  USDC: { contract: "ListedToken", decimals: 6, deposit_fee: FEE, ...small },
  OLDDAI: { contract: "OldDai", decimals: 18, deposit_fee: FEE, ...small },
  MKR: { contract: "WordToken", decimals: 18, deposit_fee: FEE, ...small },
  FEE: { contract: "FeeToken", decimals: 18, deposit_fee: FEE, ...small },
  BARE: { contract: "BareToken", decimals: 3, ...small },
};

let world, proxy;
const { local, disconnectAll } = clientsOf(() => world);
before(async () => {
  world = await createWorld({ relay: true, dai: { deposit_fee: FEE }, tokens: TOKENS });
  await world.chain.admin.setCode({ address: PERMIT2, bytecode: await world.chain.reader.getCode({ address: await world.chain.deploy("WitnessPermits", []) }) });
  proxy = await createProxy(() => world.hubUrl);
});
after(async () => {
  await disconnectAll();
  await proxy?.stop();
  await world?.stop();
});

const tokenOf = (asset) => (asset === "DAI" ? world.dai : world.tokens[asset]);
const held = ({ address }, asset) => world.balanceOf(address, asset);

/** An account with tokens and without a single wei. */
async function penniless(asset, amount = 10_000n) {
  const account = await world.account({ eth: 0n, dai: 0n });
  await world.chain.mint(tokenOf(asset), account.address, amount);
  return account;
}
const spentNothing = async ({ address }) => {
  assert.equal(await world.balanceOf(address), 0n);
  assert.equal(await world.chain.reader.getTransactionCount({ address }), 0);
};

for (const [asset, how] of [["DAI", "permit"], ["OLDDAI", "dai-permit"], ["USDC", "authorization"]]) {
  test(`${asset} by ${how}: deposited, paid, withdrawn and closed without a wei`, async () => {
    const [a, b] = [await penniless(asset), await penniless(asset, 0n)];
    const [alice, bob] = [await local(a), await local(b)];
    assert.deepEqual({ ...(await alice.depositFee({ asset })) }, { fee: FEE, token: getAddress(tokenOf(asset)), how });
    const told = [];
    const { hash, fee } = await alice.deposit({ asset, amount: 1_000n, gas: "hub", onProgress: (progress) => told.push(progress) });
    assert.equal(fee, FEE);
    assert.equal((await world.chain.reader.getTransactionReceipt({ hash })).status, "success");
    assert.ok(told.every((progress) => progress.fee === FEE));
    assert.deepEqual([told[0].stage, told.at(-1).stage], ["submitted", "confirmed"]);
    assert.equal(await held(a, asset), 9_000n);
    assert.equal((await alice.pay({ to: b.address, asset, amount: 600n })).status, "completed");
    assert.equal((await settled(bob, asset)).available, 600n);
    await bob.withdraw({ asset, amount: 600n, relay: true });
    assert.equal(await held(b, asset), 600n);
    // Once more, which after DAI's permit is one signature.
    await alice.deposit({ asset, amount: 100n, gas: "hub" });
    await alice.close({ relay: true });
    assert.equal(await held(a, asset), 10_000n - 600n - 2n * FEE);
    await spentNothing(a);
    await spentNothing(b);
  });
}

test("Permit2 where it was allowed before, a token with a fee of its own, and one that can't be taken so", async () => {
  const [a, b] = [await penniless("MKR"), await penniless("FEE")];
  const alice = await local(a);
  assert.equal(await alice.depositFee({ asset: "MKR" }), null);
  await assert.rejects(alice.deposit({ asset: "MKR", amount: 100n, gas: "hub" }), { code: "unsupported" });
  await assert.rejects(alice.deposit({ asset: "BARE", amount: 100n, gas: "hub" }), { code: "insufficient-funds" });
  await assert.rejects(alice.deposit({ asset: "ETH", amount: 100n, gas: "hub" }), { code: "unsupported" });
  const approve = async (address, token) => {
    await world.chain.admin.impersonateAccount({ address });
    await world.chain.admin.setBalance({ address, value: 10n ** 18n });
    const { createWalletClient, http } = await import("viem");
    const wallet = createWalletClient({ account: address, transport: http(world.rpcUrl) });
    await world.chain.mined(await wallet.writeContract({ chain: null, address: token, abi: artifact("TestDai").abi, functionName: "approve", args: [PERMIT2, 2n ** 255n] }));
    await world.chain.admin.setBalance({ address, value: 0n });
  };
  await approve(a.address, world.tokens.MKR);
  assert.equal((await alice.depositFee({ asset: "MKR" })).how, "permit2");
  await alice.deposit({ asset: "MKR", amount: 1_000n, gas: "hub" });
  assert.equal((await alice.balances()).find(({ asset }) => asset === "MKR").available, 1_000n - FEE);
  await approve(b.address, world.tokens.FEE);
  const bob = await local(b);
  await bob.deposit({ asset: "FEE", amount: 1_000n, gas: "hub" });
  // A hundredth of 1,000 on the way to the relay, and of the 940 on the way to the contract.
  assert.equal((await bob.balances()).find(({ asset }) => asset === "FEE").deposited, 940n - 9n);
});

test("a wallet signs what a person can read, and may say no at each question", async () => {
  const a = await penniless("DAI");
  const wallet = createWallet({ privateKey: a.privateKey, rpcUrl: world.rpcUrl });
  const client = await connect({ hub: world.hubUrl, wallet, store: "memory", pollInterval: 100 });
  const signed = [];
  const sign = wallet.own.eth_signTypedData_v4;
  wallet.own.eth_signTypedData_v4 = (params) => (signed.push(JSON.parse(params[1])), sign(params));
  for (const refused of [1, 2]) {
    signed.length = 0;
    wallet.answer.eth_signTypedData_v4 = (params) =>
      signed.length + 1 === refused ? Promise.reject(Object.assign(new Error("no"), { code: 4001 })) : wallet.own.eth_signTypedData_v4(params);
    await assert.rejects(client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" }), ({ code, message }) => code === "wallet-rejected" && /no money moved/i.test(message));
  }
  delete wallet.answer.eth_signTypedData_v4;
  signed.length = 0;
  await client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" });
  const [permit, deposit] = signed;
  assert.deepEqual([permit.primaryType, permit.message.value, permit.message.spender.toLowerCase()], ["Permit", "1000", world.relay.toLowerCase()]);
  assert.deepEqual([deposit.domain.name, deposit.primaryType, deposit.message.amount, deposit.message.fee], ["Farthing DepositRelay", "RelayedDeposit", "1000", String(FEE)]);
  assert.equal(deposit.message.relayer.toLowerCase(), world.hub.owner.toLowerCase());
  assert.equal(wallet.sent.length, 0);
  await spentNothing(a);
  await client.disconnect();
});

/** A client behind a hub that does not keep to what is agreed. */
async function deceived(asset = "DAI", options = {}) {
  const account = await penniless(asset);
  const client = await local(account, { hub: proxy.url, ...options });
  return { account, client };
}
const rules = (changed) => (proxy.rules = { call: (method, params, ask) => (changed[method] ? changed[method](params, ask) : ask()) });

test("a relay with other code, and a fee that rose, are refused before anything is signed", async () => {
  const { account, client } = await deceived();
  rules({ farthing_config: async (_, ask) => ({ ...(await ask()), relay: { contract: world.contract, relayer: world.hub.owner } }) });
  await assert.rejects(client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" }), ({ code, message }) => code === "bad-terms" && /nothing was signed/.test(message));
  const raised = async (_, ask) => {
    const terms = await ask();
    return { ...terms, assets: terms.assets.map((asset) => (asset.depositFee ? { ...asset, depositFee: "51" } : asset)) };
  };
  rules({ farthing_config: raised });
  await assert.rejects(client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" }), ({ code, message }) => code === "limit-exceeded" && /nothing was signed/.test(message));
  await assert.rejects(client.deposit({ asset: "DAI", amount: 51n, gas: "hub", maxFee: 60n }), { code: "invalid-amount" });
  rules({});
  assert.equal(await held(account, "DAI"), 10_000n);
});

test("a hub that is silent, refuses, or tells a false hash: what was signed is asked about again, and never twice in the channel", async () => {
  const store = join(world.folder, "deceived.sqlite");
  const { account, client } = await deceived("DAI", { store });
  const asked = [];
  rules({ farthing_relayDeposit: async (params) => (asked.push(params), Promise.reject(Object.assign(new Error("later"), { rpc: { code: -32000, message: "later", data: { code: "hub-unfunded" } } }))) });
  const refusal = await client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" }).catch((error) => error);
  assert.equal(refusal.code, "hub-unfunded");
  assert.match(refusal.message, /may send it until/);
  await assert.rejects(client.deposit({ asset: "DAI", amount: 900n, gas: "hub" }), { code: "unanswered" });
  await assert.rejects(client.deposit({ asset: "DAI", amount: 900n }), { code: "unanswered" });

  // The process dies; the next one asks for the same, and signs no other.
  await client.disconnect();
  const again = await local(account, { hub: proxy.url, store });
  rules({ farthing_relayDeposit: async (params, ask) => (asked.push(params), await ask(), { transaction: `0x${"ab".repeat(32)}` }) });
  const { hash } = await again.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" });
  assert.deepEqual(asked[1], asked[0]);
  // The hash is the chain's, not the one that the hub told.
  assert.equal((await world.chain.reader.getTransactionReceipt({ hash })).status, "success");
  assert.equal(await held(account, "DAI"), 9_000n);
  rules({});
  await again.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" });
  assert.equal(await held(account, "DAI"), 8_000n);
});

test("a hub that sends what was signed after it refused: it counts once, and the same call is told of it", async () => {
  const { account, client } = await deceived();
  let late;
  rules({ farthing_relayDeposit: (_, ask) => ((late = ask), Promise.reject(Object.assign(new Error("no"), { rpc: { code: -32000, message: "no", data: { code: "rate-limited" } } }))) });
  await assert.rejects(client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" }), { code: "rate-limited" });
  const counted = new Promise((resolve) => client.on("deposit", resolve));
  await late();
  await world.chain.admin.mine({ blocks: 3 });
  await counted;
  rules({});
  const { fee } = await client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" });
  assert.equal(fee, FEE);
  assert.equal(await held(account, "DAI"), 9_000n);
});

test("a hub that says it sends and does not: past its time no money moved, and another deposit can be signed", async () => {
  const { account, client } = await deceived();
  rules({ farthing_relayDeposit: async () => ({ transaction: `0x${"cd".repeat(32)}` }) });
  let submitted;
  const told = new Promise((resolve) => (submitted = resolve));
  const waiting = client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub", onProgress: ({ stage }) => stage === "submitted" && submitted() });
  const ended = assert.rejects(waiting, ({ code, message }) => code === "transaction-failed" && /no money moved/.test(message));
  await told;
  const { timestamp } = await world.chain.reader.getBlock();
  await world.chain.passTo(timestamp + 1_300n);
  await world.chain.admin.mine({ blocks: 3 });
  await ended;
  assert.equal(await held(account, "DAI"), 10_000n);
  rules({});
  await client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" });
  assert.equal(await held(account, "DAI"), 9_000n);
});

const refusing = (code) => Promise.reject(Object.assign(new Error(code), { rpc: { code: -32000, message: code, data: { code } } }));

/** A hub that says no, and sends all the same. */
async function refusedAndSent(client, amount = 1_000n) {
  let late;
  rules({ farthing_relayDeposit: (_, ask) => ((late = ask), refusing("rate-limited")) });
  await assert.rejects(client.deposit({ asset: "DAI", amount, gas: "hub" }), { code: "rate-limited" });
  const counted = new Promise((resolve) => client.on("deposit", resolve));
  await late();
  await world.chain.admin.mine({ blocks: 3 });
  await counted;
}

test("what the hub sent after all is not deposited again with gas of one's own, and what comes after it is", async () => {
  const { account, client } = await deceived();
  await world.chain.admin.setBalance({ address: account.address, value: 10n ** 18n });
  await refusedAndSent(client);
  const { hash } = await client.deposit({ asset: "DAI", amount: 1_000n });
  assert.equal((await world.chain.reader.getTransactionReceipt({ hash })).status, "success");
  assert.equal(await held(account, "DAI"), 9_000n);
  rules({});
  await client.deposit({ asset: "DAI", amount: 1_000n });
  assert.equal(await held(account, "DAI"), 8_000n);
  await refusedAndSent(client, 500n);
  // Another amount is another deposit.
  await client.deposit({ asset: "DAI", amount: 600n });
  assert.equal(await held(account, "DAI"), 6_900n);
});

test("a hub that says no once what was signed is in the channel, to a client whose nodes know no logs of it: it is told so, and nothing is signed", async () => {
  let served = true;
  const rpc = await rpcProxy(world.rpcUrl, (method, [filter]) => (!served && method === "eth_getLogs" && getAddress(filter.address) === getAddress(world.relay) ? "no logs" : undefined));
  const { account, client } = await deceived("DAI", { rpc: rpc.url });
  await refusedAndSent(client);
  served = false;
  rules({ farthing_relayDeposit: () => refusing("hub-unfunded") });
  for (const gas of ["hub", "own"]) {
    await assert.rejects(client.deposit({ asset: "DAI", amount: 1_000n, gas }), ({ code, message }) => code === "unanswered" && /is in the channel/.test(message) && !/no money moved/i.test(message), gas);
  }
  served = true;
  await client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" });
  assert.equal(await held(account, "DAI"), 9_000n);
  rules({});
  await client.disconnect();
  await rpc.close();
});

test("a hub that sends and says no is not believed, once the chain shows it", async () => {
  const { account, client } = await deceived();
  rules({ farthing_relayDeposit: async (_, ask) => {
    const { transaction } = await ask();
    await world.chain.mined(transaction);
    return refusing("hub-unfunded");
  } });
  const { hash } = await client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" });
  assert.equal((await world.chain.reader.getTransactionReceipt({ hash })).status, "success");
  assert.equal(await held(account, "DAI"), 9_000n);
  rules({});
});

test("what a wallet was asked to send, and sent without a word, is not sent by the hub besides", async () => {
  const a = await world.account({ dai: 0n });
  await world.chain.mint(world.dai, a.address, 10_000n);
  const wallet = createWallet({ privateKey: a.privateKey, rpcUrl: world.rpcUrl });
  const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: "memory", pollInterval: 100 });
  let late;
  const send = wallet.own.eth_sendTransaction;
  wallet.own.eth_sendTransaction = (params) => {
    if (wallet.sent.length === 0) return send(params);
    return new Promise(() => (late = () => send(params)));
  };
  await assert.rejects(client.deposit({ asset: "DAI", amount: 1_000n, timeout: 4_000 }), ({ code, message }) => code === "unanswered" && message.includes("look there first"));
  await late();
  const { hash } = await client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" });
  assert.equal((await world.chain.reader.getTransactionReceipt({ hash })).to.toLowerCase(), world.contract.toLowerCase());
  assert.equal(await held(a, "DAI"), 9_000n);
  await client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" });
  assert.equal(await held(a, "DAI"), 8_000n);
  await client.disconnect();
});

test("what is signed already for a fee above `maxFee` is not sent by the call that names it", async () => {
  const { account, client } = await deceived();
  let asked = 0;
  rules({ farthing_relayDeposit: () => ((asked += 1), refusing("rate-limited")) });
  await assert.rejects(client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" }), { code: "rate-limited" });
  await assert.rejects(client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub", maxFee: FEE - 1n }), ({ code, message }) => code === "unanswered" && message.includes(`${FEE} of them the hub's fee`));
  assert.equal(asked, 1);
  rules({});
  await client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub", maxFee: FEE });
  assert.equal(await held(account, "DAI"), 9_000n);
});

test("a signature that is not the account's is not kept: nothing stands in the way of the next call", async () => {
  for (const asset of ["DAI", "USDC"]) {
    const [a, stranger] = [await penniless(asset), await penniless(asset)];
    const [wallet, other] = [a, stranger].map(({ privateKey }) => createWallet({ privateKey, rpcUrl: world.rpcUrl }));
    const client = await connect({ hub: world.hubUrl, wallet, store: "memory", pollInterval: 100 });
    wallet.answer.eth_signTypedData_v4 = ([, json]) => other.own.eth_signTypedData_v4([other.address, json]);
    await assert.rejects(client.deposit({ asset, amount: 1_000n, gas: "hub" }), ({ code, message }) => code === "unsupported" && /no money moved/i.test(message));
    wallet.answer = {};
    await client.deposit({ asset, amount: 1_100n, gas: "hub" });
    assert.equal(await held(a, asset), 8_900n);
    await client.disconnect();
  }
});
