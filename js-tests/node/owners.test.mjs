// Owners that are contracts (ERC-1271): a wallet of several keys from its first deposit to its exit.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { createSafe } from "../support/safe.mjs";
import { createWallet } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const ETHER = parseEther("1");
let world;
let folder;
const open = [];

before(async () => {
  world = await createWorld();
  folder = mkdtempSync(join(tmpdir(), "farthing-owners-"));
});
after(async () => {
  await Promise.allSettled(open.map((client) => client.disconnect()));
  await world.stop();
  rmSync(folder, { recursive: true, force: true });
});

let stores = 0;
const place = () => join(folder, `${(stores += 1)}.sqlite`);

async function client(wallet, options = {}) {
  const connected = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: place(), pollInterval: 100, confirmations: 1, ...options });
  open.push(connected);
  return connected;
}

async function funded() {
  const safe = await createSafe(world);
  await world.fund(safe.address);
  await world.chain.admin.mine({ blocks: 2 });
  return safe;
}

const payer = async () => client({ privateKey: (await world.account()).privateKey }, { store: "memory" });

test("a wallet of several keys opens, is paid at its address, pays, withdraws and closes", async () => {
  const safe = await funded();
  const alice = await client(safe.provider);
  assert.equal(alice.info.address.toLowerCase(), safe.address.toLowerCase());
  assert.deepEqual(safe.asked.filter((method) => method === "eth_signTypedData_v4").length, 1, "it signs its binding and nothing else");
  await alice.deposit({ asset: "ETH", amount: ETHER });
  await alice.deposit({ asset: "DAI", amount: ETHER });
  const bob = await payer();
  await bob.deposit({ asset: "ETH", amount: ETHER });
  await bob.pay({ to: safe.address, asset: "ETH", amount: 1000n });
  await alice.pay({ to: bob.info.address, asset: "DAI", amount: 500n });
  const before = await world.balanceOf(safe.address);
  await alice.withdraw({ asset: "ETH", amount: 1000n });
  assert.equal(await world.balanceOf(safe.address), before + 1000n);
  const elsewhere = (await world.account({ eth: 0n, dai: 0n })).address;
  await alice.withdraw({ asset: "ETH", amount: 10n, to: elsewhere });
  assert.equal(await world.balanceOf(elsewhere), 10n);
  await alice.close();
  assert.equal(await world.balanceOf(safe.address), before + ETHER - 10n + 1000n);
});

test("its key outlives the process, only its owner may read it, and nobody is asked again", async () => {
  const safe = await funded();
  const store = place();
  const first = await client(safe.provider, { store });
  await first.deposit({ asset: "ETH", amount: ETHER });
  const { signer, channelId } = first.info;
  await first.disconnect();
  if (process.platform !== "win32") assert.equal(statSync(store).mode & 0o777, 0o600);
  safe.asked.length = 0;
  const again = await client(safe.provider, { store });
  assert.deepEqual([again.info.signer, again.info.channelId], [signer, channelId]);
  assert.ok(!safe.asked.includes("eth_signTypedData_v4"));
});

test("it leaves by its own transaction, also where the key is lost", async () => {
  const safe = await funded();
  const store = place();
  const first = await client(safe.provider, { store });
  await first.deposit({ asset: "ETH", amount: ETHER });
  await first.disconnect();
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(store);
  assert.equal(database.prepare("DELETE FROM entries WHERE key LIKE 'session/%'").run().changes, 1);
  database.close();
  const keyless = await client(safe.provider, { store });
  await assert.rejects(keyless.pay({ to: world.hub.owner, asset: "ETH", amount: 1n }), { code: "unsupported" });
  const before = await world.balanceOf(safe.address);
  await keyless.exit({
    onProgress: ({ stage, endsAt }) => stage === "challenge" && void world.chain.passTo(BigInt(Math.ceil(endsAt / 1000)) + 1n),
  });
  assert.equal(await world.balanceOf(safe.address), before + ETHER);
});

test("the exported key takes the channel up on another device", async () => {
  const safe = await funded();
  const first = await client(safe.provider);
  await first.deposit({ asset: "ETH", amount: ETHER });
  const privateKey = await first.exportSessionKey();
  const { channelId } = first.info;
  await first.disconnect();
  const other = await client(safe.provider, { sessionKey: { privateKey }, adopt: true });
  assert.equal(other.info.channelId, channelId);
  assert.equal((await other.balances()).find(({ asset }) => asset === "ETH").available, ETHER);
});

test("a store that dies between key and first use leaves one key, which is used", async () => {
  const safe = await funded();
  const store = place();
  safe.own.eth_signTypedData_v4 = () => Promise.reject(Object.assign(new Error("no"), { code: 4001 }));
  await assert.rejects(client(safe.provider, { store }), { code: "wallet-rejected" });
  const { DatabaseSync } = await import("node:sqlite");
  const read = () => {
    const database = new DatabaseSync(store);
    const rows = database.prepare("SELECT value FROM entries WHERE key LIKE 'session/%'").all();
    database.close();
    return rows.map(({ value }) => Buffer.from(value).toString("hex"));
  };
  const [kept, ...more] = read();
  assert.deepEqual(more, []);
  await assert.rejects(client(safe.provider, { store }), { code: "wallet-rejected" });
  assert.deepEqual(read(), [kept]);
});

test("a random key is refused where nothing is kept, before anything is signed", async () => {
  const safe = await funded();
  await assert.rejects(client(safe.provider, { store: "memory" }), { code: "unsupported", message: /lost with the memory/ });
  assert.ok(!safe.asked.includes("eth_signTypedData_v4"));
  const { privateKey } = await world.account();
  await assert.rejects(client({ privateKey }, { sessionKey: "random" }), { code: "invalid-argument" });
});

test("a contract that is not deployed is refused in words, and taken once it is", async () => {
  const { privateKey } = await world.account();
  const wallet = createWallet({ privateKey, rpcUrl: world.rpcUrl });
  const address = "0x00000000000000000000000000000000000c0de5";
  wallet.own.eth_requestAccounts = wallet.own.eth_accounts = async () => [address];
  wallet.own.eth_signTypedData_v4 = async () => `0x${"11".repeat(96)}${"6492".repeat(16)}`;
  await assert.rejects(client(wallet), { code: "unsupported", message: /deploy/ });
  await assert.rejects(client(wallet, { sessionKey: "random" }), { code: "unsupported", message: /no contract at/ });
});

test("a contract that stops taking its binding is paid no more, until it signs anew", async () => {
  const safe = await funded();
  const store = place();
  const alice = await client(safe.provider, { store });
  await safe.retire();
  await world.chain.admin.mine({ blocks: 3 });
  const bob = await payer();
  await bob.deposit({ asset: "ETH", amount: ETHER });
  await assert.rejects(bob.pay({ to: safe.address, asset: "ETH", amount: 1n }), { code: "unknown-payee" });
  // What pays its signer needs no word of the owner's.
  await bob.pay({ to: alice.info.signer, asset: "ETH", amount: 1n });
  await alice.disconnect();
  const again = await client(safe.provider, { store });
  assert.equal(again.info.channelId, alice.info.channelId);
  await bob.pay({ to: safe.address, asset: "ETH", amount: 1n });
});

test("an account that delegates to code pays by its key, and is one of a contract's where its wallet signs by the code's rule", async () => {
  const { privateKey, address } = await world.account();
  const wallet = createWallet({ privateKey, rpcUrl: world.rpcUrl });
  const target = await world.chain.deploy("Safe", [[address], 1n]);
  await world.chain.admin.setCode({ address, bytecode: `0xef0100${target.slice(2)}` });
  const alice = await client(wallet);
  await alice.deposit({ asset: "ETH", amount: ETHER });
  assert.ok(wallet.asked.filter((method) => method === "eth_signTypedData_v4").length >= 2, "its key is derived");
});
