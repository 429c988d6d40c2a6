// What a newcomer does, in Node: deposit, pay both ways, a payee that is away, withdraw, close; state that survives.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { clientsOf } from "../support/clients.mjs";
import { createWallet, rejection } from "../support/wallet.mjs";
import { settled } from "../support/settled.mjs";
import { createWorld } from "../support/world.mjs";

let world;
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
});
after(async () => {
  await disconnectAll();
  await world?.stop();
});

async function injected(account, options = {}) {
  const wallet = createWallet({ privateKey: account.privateKey, rpcUrl: world.rpcUrl });
  return [await local(account, { wallet, rpc: undefined, ...options }), wallet];
}

const balance = async (client, asset) => (await client.balances()).find((found) => found.asset === asset);

test("deposit, pay both ways, withdraw, close: every wei is accounted for", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const alice = await local(a);
  const [bob, wallet] = await injected(b);
  const stages = [];
  await alice.deposit({ asset: "ETH", amount: parseEther("1"), onProgress: ({ stage }) => stages.push(stage) });
  assert.deepEqual(stages, ["submitted", "mined", "confirmed"]);
  await alice.deposit({ asset: "DAI", amount: parseEther("100") });
  await bob.deposit({ asset: world.dai, amount: parseEther("50") });

  const receipt = await alice.pay({ to: b.address, asset: "ETH", amount: 1n, memo: "for the croissant" });
  assert.equal(receipt.status, "completed");
  assert.match(receipt.preimage, /^0x[0-9a-f]{64}$/);
  assert.ok(Object.isFrozen(receipt));
  await alice.pay({ to: bob.info.address, asset: "DAI", amount: parseEther("1") });
  await bob.pay({ to: a.address, asset: "DAI", amount: parseEther("0.25") });
  await alice.pay({ to: world.hub.owner, asset: "ETH", amount: 5n });

  const [received] = await bob.payments({ direction: "received", asset: "ETH" });
  assert.equal(received.memo, "for the croissant");
  assert.equal(received.to, undefined);
  assert.equal(createHash("sha256").update(Buffer.from(receipt.preimage.slice(2), "hex")).digest("hex").length, 64);
  assert.equal((await settled(alice, "ETH")).available, parseEther("1") - 6n);
  assert.equal((await settled(alice, "DAI")).available, parseEther("99.25"));
  assert.equal((await settled(bob, "DAI")).available, parseEther("50.75"));

  const held = await world.balanceOf(b.address, "DAI");
  await bob.withdraw({ asset: "DAI", amount: parseEther("0.5") });
  assert.equal(await world.balanceOf(b.address, "DAI"), held + parseEther("0.5"));
  const other = "0x00000000000000000000000000000000000000aa";
  await bob.withdraw({ asset: "DAI", amount: parseEther("0.25"), to: other, relay: true });
  assert.equal(await world.balanceOf(other, "DAI"), parseEther("0.25"));

  const before = await world.balanceOf(a.address, "DAI");
  await alice.close();
  assert.equal(await world.balanceOf(a.address, "DAI"), before + parseEther("99.25"));
  assert.equal((await balance(alice, "DAI")).status, "closed");
  await assert.rejects(alice.pay({ to: b.address, asset: "DAI", amount: 1n }), { code: "channel-closed" });
  // The wallet was asked for its account, the signature that makes its key twice, two more and transactions; never for a payment.
  assert.equal(wallet.asked.filter((method) => method === "eth_signTypedData_v4").length, 4);
});

test("whatever has amounts in it can be written as JSON, and is the plain object that it was", async () => {
  const client = await local(await world.account());
  const told = [];
  for (const name of ["deposit", "payment"]) client.on(name, (event) => told.push(event));
  await client.deposit({ asset: "ETH", amount: parseEther("1") });
  const receipt = await client.pay({ to: world.hub.owner, asset: "ETH", amount: 7n });
  const given = [await client.balances(), await client.payments(), client.info, receipt, ...told];
  for (const value of given) assert.ok(JSON.stringify(value).length > 2);
  const [written] = JSON.parse(JSON.stringify(await client.balances()));
  assert.deepEqual([written.deposited, written.withdrawn], [String(parseEther("1")), "0"]);
  assert.deepEqual(JSON.parse(JSON.stringify(receipt)).amount, "7");
  assert.deepEqual({ ...receipt }, receipt);
  assert.deepEqual(structuredClone(receipt), receipt);
  assert.ok(!Object.keys(receipt).includes("toJSON"));
});

test("a payee that is away gets it when it comes back", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const alice = await local(a);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  const store = join(world.folder, "away.sqlite");
  const bob = await local(b, { store });
  await bob.deposit({ asset: "ETH", amount: 1000n });
  await bob.disconnect();

  const receipt = await alice.pay({ to: b.address, asset: "ETH", amount: 7n });
  assert.equal(receipt.status, "held");
  const completed = new Promise((resolve) => {
    alice.on("payment", ({ payment }) => payment.id === receipt.id && payment.status === "completed" && resolve(payment));
  });
  const back = await local(b, { store });
  assert.match((await completed).preimage, /^0x/);
  assert.equal((await settled(back, "ETH")).available, 1007n);
});

test("a process that comes back goes on where it was, also when the hub was killed meanwhile", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const store = join(world.folder, "restart.sqlite");
  const first = await local(a, { store });
  const bob = await local(b);
  await first.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "ETH", amount: 1n });
  await first.pay({ to: b.address, asset: "ETH", amount: 3n, wait: true });
  await settled(first, "ETH");
  await assert.rejects(local(a, { store }), ({ code, message }) => code === "storage-locked" && message.startsWith("This process has"));
  const { channelId } = first.info;
  await first.disconnect();
  await assert.rejects(first.pay({ to: b.address, asset: "ETH", amount: 3n }), { code: "client-closed" });
  const empty = await local(a);
  assert.equal(empty.info.channelId, channelId, "an empty store over a channel in use goes on from the backup");
  await empty.disconnect();

  await world.hub.stop("SIGKILL");
  await world.hub.start();
  const second = await local(a, { store });
  assert.equal(second.info.channelId, channelId);
  assert.equal((await balance(second, "ETH")).available, parseEther("1") - 3n);
  assert.equal((await second.payments()).length, 1);
  const again = await second.pay({ to: b.address, asset: "ETH", amount: 4n, wait: true });
  assert.equal(again.status, "completed");
  assert.equal((await settled(bob, "ETH")).available, 8n);
});

test("many payments at once share signatures and commits", async () => {
  const [a, b] = [await world.account(), await world.account()];
  let commits = 0;
  const entries = new Map();
  const store = {
    load: async (prefix) => [...entries].filter(([key]) => key.startsWith(prefix)).sort(([x], [y]) => (x < y ? -1 : 1)),
    commit: async (writes) => {
      commits += 1;
      for (const [key, value] of writes) value === null ? entries.delete(key) : entries.set(key, value);
    },
    close: async () => {},
  };
  const alice = await local(a, { store });
  const bob = await local(b);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "ETH", amount: 1n });
  await alice.pay({ to: b.address, asset: "ETH", amount: 1n, wait: true });
  const before = commits;
  await Promise.all(Array.from({ length: 300 }, () => alice.pay({ to: b.address, asset: "ETH", amount: 1n, wait: true })));
  assert.ok(commits - before < 100, `${commits - before} commits for 300 payments`);
  assert.equal((await settled(bob, "ETH")).available, 302n);
  assert.equal((await alice.payments({ limit: 1000 })).length, 301);
});

test("events come in order, and end with the client", async () => {
  const client = await local(await world.account());
  const seen = [];
  const reading = (async () => {
    for await (const event of client.events()) seen.push(event.type);
  })();
  await client.deposit({ asset: "ETH", amount: 100n });
  await client.pay({ to: world.hub.signer, asset: "ETH", amount: 10n });
  await client.disconnect();
  await reading;
  // What is in the channel is told as soon as we see it, the deposit when the hub counts it, too.
  for (const type of ["balance", "deposit", "payment"]) assert.ok(seen.includes(type), seen.join());
  assert.ok(seen.indexOf("deposit") < seen.indexOf("payment"), seen.join());
  assert.throws(() => client.on("nonsense", () => {}), { code: "invalid-argument" });
});

test("each status of a payment is told once, to who pays and to who is paid", async () => {
  const [alice, bob] = [await local(await world.account()), await local(await world.account())];
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "ETH", amount: 1n });
  const told = [alice, bob].map((client) => {
    const seen = [];
    client.on("payment", ({ payment }) => seen.push(`${payment.id} ${payment.status}`));
    return seen;
  });
  for (let count = 0; count < 20; count += 1) await alice.pay({ to: bob.info.address, asset: "ETH", amount: 3n });
  // Also what comes after, when the locks are gone.
  for (const client of [alice, bob]) await settled(client, "ETH");
  await alice.pay({ to: world.hub.owner, asset: "ETH", amount: 1n });
  for (const seen of told) {
    assert.equal(new Set(seen).size, seen.length);
    assert.ok(seen.filter((what) => what.endsWith("completed")).length >= 20);
  }
});

test("the history is the wallet's: closed or left, it is there after the next connect, with what comes then", async () => {
  const account = await world.account();
  const store = join(world.folder, "history.sqlite");
  let client = await local(account, { store });
  const ids = [];
  const pay = async (amount) => ids.unshift((await client.pay({ to: world.hub.owner, asset: "ETH", amount })).id);
  const again = async () => {
    await client.disconnect();
    client = await local(account, { store });
    assert.deepEqual((await client.payments()).map(({ id }) => id), ids);
  };
  for (const end of ["close", "exit"]) {
    await client.deposit({ asset: "ETH", amount: 1000n });
    await pay(1n);
    await pay(2n);
    const { channelId } = client.info;
    if (end === "close") await client.close();
    else await client.exit({ onProgress: ({ endsAt }) => endsAt && world.chain.passTo(endsAt / 1_000 + 1) });
    await again();
    assert.notEqual(client.info.channelId, channelId, "another channel");
  }
  await client.deposit({ asset: "ETH", amount: 1000n });
  await pay(3n);
  await again();
  assert.equal((await client.payments({ limit: 2 })).length, 2);
  assert.deepEqual((await client.payments()).map(({ amount }) => amount), [3n, 2n, 1n, 2n, 1n]);
  // Nor is a payment of an earlier channel made again.
  const [, , id] = ids;
  assert.equal((await client.pay({ to: world.hub.owner, asset: "ETH", amount: 1n, id })).amount, 1n);
  assert.equal((await client.payments()).length, 5);
});

test("what the user refuses has a code, and so has a wallet that throws", async () => {
  const account = await world.account();
  const make = (wishes) => createWallet({ privateKey: account.privateKey, rpcUrl: world.rpcUrl, ...wishes });
  const attempt = (wallet) => local(account, { wallet, rpc: undefined });
  await assert.rejects(attempt(make({ refuse: { eth_requestAccounts: rejection() } })), (error) => {
    assert.equal(error.code, "wallet-rejected");
    assert.equal(error.cause.code, 4001);
    assert.ok(error instanceof Error);
    return true;
  });
  await assert.rejects(attempt(make({ refuse: { eth_signTypedData_v4: rejection() } })), { code: "wallet-rejected" });
  await assert.rejects(attempt(make({ throwNow: { eth_requestAccounts: new Error("locked") } })), { code: "wallet-unavailable" });
  await assert.rejects(attempt({ request: () => "no promise" }), { code: "wallet-unavailable" });

  const wallet = make();
  const client = await attempt(wallet);
  wallet.refuse.eth_sendTransaction = rejection();
  await assert.rejects(client.deposit({ asset: "ETH", amount: 1n }), { code: "wallet-rejected" });
  wallet.refuse.eth_sendTransaction = undefined;
  await client.deposit({ asset: "ETH", amount: 1n });
  assert.equal((await balance(client, "ETH")).available, 1n);
});

test("a store that fails stops the client, and says so", async () => {
  const account = await world.account();
  let full = false;
  const entries = new Map();
  const store = {
    load: async (prefix) => [...entries].filter(([key]) => key.startsWith(prefix)).sort(([x], [y]) => (x < y ? -1 : 1)),
    commit: async (writes) => {
      if (full) throw new Error("disk full");
      for (const [key, value] of writes) value === null ? entries.delete(key) : entries.set(key, value);
    },
    close: async () => {},
  };
  const client = await local(account, { store });
  await client.deposit({ asset: "ETH", amount: 100n });
  full = true;
  await assert.rejects(client.pay({ to: world.hub.owner, asset: "ETH", amount: 1n }), { code: "storage-failed" });
  await assert.rejects(client.balances(), { code: "storage-failed" });
  await client.disconnect();
  full = false;
  const again = await local(account, { store });
  assert.equal((await balance(again, "ETH")).available, 100n);
});

test("an AbortSignal ends the waiting, and nothing else", async () => {
  const client = await local(await world.account());
  const amount = 100n;
  const aborted = client.deposit({ asset: "ETH", amount, signal: AbortSignal.abort("changed my mind") });
  await assert.rejects(aborted, (error) => error.code === "aborted" && error.cause === "changed my mind");
  assert.equal((await balance(client, "ETH")).deposited, 0n);
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  await assert.rejects(client.deposit({ asset: "ETH", amount, signal: controller.signal, onProgress }), { code: "aborted" });
  await new Promise((resolve) => client.on("deposit", resolve));
  assert.equal((await balance(client, "ETH")).deposited, amount);
});
