// Owners that are contracts (ERC-1271): a wallet of several keys from its first deposit to its exit.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { encodeAbiParameters, getAddress, parseEther } from "viem";
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

/** What a stranger is answered by the hub. */
const asked = async (method, params) => {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const { result, error } = await (await fetch(world.hubUrl, { method: "POST", headers: { "content-type": "application/json" }, body })).json();
  if (error) throw Object.assign(new Error(error.message), error);
  return result;
};
const lookup = (address) => asked("farthing_lookup", { address });

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

/** Code that takes these bytes of any hash for its signature, and no others, and reverts on all else. */
function takesOnly(signature) {
  const bytes = signature.slice(2);
  const length = (bytes.length / 2).toString(16).padStart(64, "0");
  const words = [length, ...bytes.padEnd(Math.ceil(bytes.length / 64) * 64, "0").match(/.{64}/g)];
  const checks = words.map((word, index) => `60${(0x44 + 32 * index).toString(16)}357f${word}14${index > 0 ? "16" : ""}`).join("");
  const at = checks.length / 2 + 7;
  return `0x${checks}61${at.toString(16).padStart(4, "0")}575f5ffd5b${YES}5f5260205ff3`;
}

/** Pushes what a contract answers where it stands by a signature. */
const YES = `7f1626ba7e${"00".repeat(28)}`;

/** An account whose code takes one signature, which its wallet gives for all that it is asked. */
async function contractThatTakes(signature, given = signature) {
  const { privateKey } = await world.account();
  const { address } = await world.account({ eth: 0n, dai: 0n });
  await world.chain.admin.setCode({ address, bytecode: takesOnly(signature) });
  await world.chain.admin.mine({ blocks: 3 });
  const wallet = createWallet({ privateKey, rpcUrl: world.rpcUrl });
  wallet.own.eth_requestAccounts = wallet.own.eth_accounts = async () => [address];
  wallet.own.eth_signTypedData_v4 = async () => given;
  return { wallet, address };
}

test("a contract is asked about what its wallet gave, byte by byte", async () => {
  const [r, s] = ["11".repeat(32), `a2${"33".repeat(31)}`];
  // A passkey's signature has 64 bytes; of a wallet of several keys the last byte may say another kind of word than a key's.
  for (const signature of [`0x${r}${s}`, `0x${r}${s}00`, `0x${r}${s}01`, `0x${r}${s}1f`, `0x${r}${s}1b${r}`]) {
    const { wallet, address } = await contractThatTakes(signature);
    const alice = await client(wallet);
    const { binding } = await lookup(address);
    assert.equal(binding, signature);
    await alice.disconnect();
  }
});

test("of what also says how to deploy a contract its own part counts, once it is deployed", async () => {
  const inner = `0x${"11".repeat(70)}`;
  const wrapped = encodeAbiParameters([{ type: "address" }, { type: "bytes" }, { type: "bytes" }], [world.contract, "0x1234", inner]);
  const { wallet, address } = await contractThatTakes(inner, `${wrapped}${"6492".repeat(16)}`);
  const alice = await client(wallet);
  assert.equal((await lookup(address)).binding, inner);
  const bob = await payer();
  await bob.deposit({ asset: "ETH", amount: ETHER });
  await bob.pay({ to: address, asset: "ETH", amount: 1n });
  await alice.disconnect();
  // Of another contract, and of one that is not there, nothing is taken for a yes.
  const other = await contractThatTakes(`0x${"22".repeat(70)}`, `${wrapped}${"6492".repeat(16)}`);
  await assert.rejects(client(other.wallet), { code: "unsupported", message: /ERC-1271/ });
  await world.chain.admin.setCode({ address: other.address, bytecode: "0x" });
  await assert.rejects(client(other.wallet, { sessionKey: "random" }), { code: "unsupported", message: /no contract at/ });
});

test("a payee's contract that burns, fills or fails what it is asked with holds nobody up", async () => {
  const inner = `0x${"11".repeat(70)}`;
  const { wallet, address } = await contractThatTakes(inner);
  const alice = await client(wallet);
  const says = (text) => `0x${Buffer.from(`x${text}`).toString("hex").slice(2)}`;
  const reason = says("rate limit exceeded: header not found, internal error").slice(2);
  const evil = {
    "invalid opcode": "0xfe",
    "a loop": "0x5b5f56",
    "a megabyte": "0x620fffff5ff3",
    "a jump to nowhere": "0x5f56",
    "words of a node": `0x7f${reason.slice(0, 64)}5f5260205ffd`,
    "a yes with more behind it": `0x${YES}5f5260405ff3`,
  };
  for (const [name, bytecode] of Object.entries(evil)) {
    await world.chain.admin.setCode({ address, bytecode });
    await world.chain.admin.mine({ blocks: 3 });
    const bob = await payer();
    await assert.rejects(bob.pay({ to: address, asset: "ETH", amount: 1n }), { code: "unknown-payee" }, name);
    await bob.disconnect();
  }
  await alice.disconnect();
});

test("of two devices with one exported key the one that fell behind signs nothing more, and nothing is lost", async () => {
  const safe = await funded();
  const bob = await payer();
  await bob.deposit({ asset: "ETH", amount: ETHER });
  const first = await client(safe.provider);
  await first.deposit({ asset: "ETH", amount: ETHER });
  const privateKey = await first.exportSessionKey();
  const second = await client(safe.provider, { sessionKey: { privateKey }, adopt: true });
  assert.equal(second.info.channelId, first.info.channelId);
  const to = bob.info.address;
  await second.pay({ to, asset: "ETH", amount: 100n });
  await assert.rejects(first.pay({ to, asset: "ETH", amount: 100n }), { code: "state-outdated" });
  const available = async (of) => (await of.balances()).find(({ asset }) => asset === "ETH").available;
  assert.deepEqual([await available(second), await available(bob)], [ETHER - 100n, ETHER + 100n]);
  await first.disconnect();
  const before = await world.balanceOf(safe.address);
  await second.close();
  assert.equal(await world.balanceOf(safe.address), before + ETHER - 100n);
});

test("what was paid with each key stays in the history, when the channels of both are over", async () => {
  const safe = await funded();
  const store = place();
  const { privateKey } = await world.account();
  // Reads alone, and closes what it opened.
  const used = async (options, amount) => {
    const alice = await client(safe.provider, { store, ...options });
    await alice.deposit({ asset: "DAI", amount: ETHER });
    await alice.pay({ to: world.hub.owner, asset: "DAI", amount });
    await alice.close();
    await alice.disconnect();
  };
  await used({}, 1n);
  await used({ sessionKey: { privateKey } }, 2n);
  for (const options of [{}, { sessionKey: { privateKey } }, {}]) {
    const alice = await client(safe.provider, { store, ...options });
    const amounts = (await alice.payments()).map(({ amount }) => amount);
    await alice.disconnect();
    assert.ok(amounts.includes("sessionKey" in options ? 2n : 1n), String(amounts));
  }
});

test("who shows another form of an older channel's binding does not make that the one that is paid", async () => {
  const { wallet, address } = await contractThatTakes(`0x${"11".repeat(70)}`);
  const older = await client(wallet);
  const newer = await client(wallet);
  const paid = async () => getAddress((await lookup(address)).channel.a.signer);
  assert.equal(await paid(), newer.info.signer);
  // A contract may read of a signature what it needs, and nothing of what is behind that.
  await world.chain.admin.setCode({ address, bytecode: `0x${YES}5f5260205ff3` });
  await world.chain.admin.mine({ blocks: 3 });
  const number = Number(await world.chain.reader.getBlockNumber());
  while (((await (await fetch(`${world.hubUrl}/ready`)).json()).head ?? 0) < number) await world.chain.reader.getBlockNumber();
  const { channel, publicKey } = await lookup(older.info.signer);
  await asked("farthing_register", { channel, publicKey, binding: `0x${"11".repeat(71)}` });
  assert.equal(await paid(), newer.info.signer);
  await Promise.all([older.disconnect(), newer.disconnect()]);
});
