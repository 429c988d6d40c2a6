// Leaving without the hub: by the client, and by the kit and the program `farthing` when all else is gone.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { createWalletClient, http, parseEther, zeroAddress } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { gasPaid } from "../demo/audit.mjs";
import { farthingProgram, waitsUntil } from "../support/cli.mjs";
import { clientsOf } from "../support/clients.mjs";
import { artifact } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

let world;
const { local, disconnectAll } = clientsOf(() => world);

// A world for each: its hub ends, and its time leaps.
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await disconnectAll();
  await world?.stop();
});

/** A payee with money in its channel, who is away. */
async function away() {
  const account = await world.account();
  const client = await local(account);
  await client.deposit({ asset: "ETH", amount: 1n });
  await client.disconnect();
  return account.address;
}

/** Pays somebody who is away; does not wait for the answer, since the hub may not have noticed yet that it is. */
const offer = (client, options) =>
  new Promise((resolve, reject) => {
    const stop = client.on("payment", ({ payment }) => {
      if (payment.status !== "held" || payment.amount !== options.amount) return;
      stop();
      resolve(payment);
    });
    client.pay(options).catch(reject);
  });

const start = parseEther("10");
const held = (address, asset) => world.balanceOf(address, asset);
/** What an account has of ETH, had its transactions cost nothing. */
const heldBeforeGas = async ({ address }) => (await held(address)) + (await gasPaid(world, [address], 0n)).of(address);
const kitFile = (name, text) => {
  const path = join(world.folder, name);
  writeFileSync(path, text);
  return path;
};

/** Runs `farthing exit` to its end; whenever it waits, `before()` is done and the chain's time passes. */
function leave(kit, privateKey, before = async () => {}) {
  const onLine = async (line) => {
    const until = waitsUntil(line);
    if (!until) return;
    await before();
    await world.chain.passTo(Number(until) + 1);
  };
  return farthingProgram(["exit", "--kit", kit, "--rpc", world.rpcUrl, "--yes", "--poll", "0.1"], { env: { FARTHING_KEY: privateKey }, onLine });
}

/** The names of the calls that it sent, in order. */
const sent = ({ out }) => [...out.matchAll(/^(\w+): .*\n {2}sent 0x/gm)].map(([, call]) => call);

/** Connects, and writes down every update that the client signs. */
async function overheard(account) {
  const updates = [];
  const find = (value) => {
    if (value === null || typeof value !== "object") return;
    if (value.proof && value.signature && "base" in value) updates.push(value);
    Object.values(value).forEach(find);
  };
  const Native = globalThis.WebSocket;
  globalThis.WebSocket = class extends Native {
    send(data) {
      find(JSON.parse(data));
      super.send(data);
    }
  };
  const client = await local(account).finally(() => (globalThis.WebSocket = Native));
  return [client, updates];
}

/** The hub, which remembers but does not run, shows an update that it got. */
function hubShows(call, kit, { proof, signature }) {
  const { channel, contract, us } = JSON.parse(kit);
  const hub = createWalletClient({ account: privateKeyToAccount(world.hub.privateKey), chain: foundry, transport: http(world.rpcUrl) });
  const proofs = [{ asset: zeroAddress, payer: us, ...proof, signature, acknowledgement: "0x" }];
  const args = call === "startExit" ? [channel, proofs, 0, "0x", 0n] : [channel, proofs];
  return hub.writeContract({ address: contract, abi: artifact("Farthing").abi, functionName: call, args }).then(world.chain.mined);
}

test("exit() with the hub's process gone: stages in order, every wei, and the payments' ends", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const alice = await local(a);
  const bob = await local(b);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await alice.deposit({ asset: "DAI", amount: parseEther("100") });
  await bob.deposit({ asset: "ETH", amount: 1n });
  await alice.pay({ to: b.address, asset: "ETH", amount: 1000n, wait: true });
  const carol = await away();
  const pending = await offer(alice, { to: carol, asset: "ETH", amount: 7n });
  // A release is acknowledged, and with it all that was paid and locked before. What is not acknowledged only the hub
  // could show, and it is gone.
  await alice.cancel((await offer(alice, { to: carol, asset: "ETH", amount: 1n })).id);
  await world.hub.stop("SIGKILL");

  const told = [];
  const events = [];
  const ended = new Promise((resolve) => {
    alice.on("payment", ({ payment }) => payment.id === pending.id && payment.status === "failed" && resolve(payment));
  });
  alice.on("exit", ({ stage }) => events.push(stage));
  await alice.exit({
    onProgress(progress) {
      told.push(progress);
      if (progress.endsAt) world.chain.passTo(progress.endsAt / 1_000 + 1);
    },
  });
  assert.deepEqual(told.map(({ stage }) => stage), ["submitted", "mined", "confirmed", "challenge", "settled", "claimed"]);
  assert.equal(told[4].locks, 1);
  assert.deepEqual(events, ["starting", "challenge", "settling", "claiming", "done"]);
  assert.equal(await heldBeforeGas(a), start - 1000n);
  assert.equal(await held(a.address, "DAI"), parseEther("10000"));
  assert.equal((await ended).status, "failed");
  const states = Object.fromEntries((await alice.payments()).map(({ amount, status }) => [amount, status]));
  assert.deepEqual(states, { 1: "failed", 7: "failed", 1000: "completed" });
  await assert.rejects(alice.pay({ to: b.address, asset: "ETH", amount: 1n }), { code: /^channel-/ });
  await alice.exit();
  await Promise.all([alice, bob].map((client) => client.disconnect()));
});

test("kit and program, with the hub and its database gone and payments pending both ways", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const [alice, updates] = await overheard(a);
  // Bob's store ends the hub when the payment to him becomes durable: he knows the secret, and the hub does not.
  const entries = new Map();
  let armed = false;
  const store = {
    load: async (prefix) => [...entries].filter(([key]) => key.startsWith(prefix)).sort(([x], [y]) => (x < y ? -1 : 1)),
    commit: async (writes) => {
      if (armed) await world.hub.stop("SIGKILL");
      for (const [key, value] of writes) value === null ? entries.delete(key) : entries.set(key, value);
    },
    close: async () => {},
  };
  const kits = [];
  let gotEvidence;
  const withEvidence = new Promise((resolve) => (gotEvidence = resolve));
  const onExitKit = async (kit) => {
    kits.push(kit);
    if (JSON.parse(kit).transactions.some(({ call }) => call === "recordEvidence")) gotEvidence(kit);
  };
  const bob = await local(b, { store, onExitKit });
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "DAI", amount: parseEther("50") });
  await alice.pay({ to: b.address, asset: "ETH", amount: 1000n, wait: true });
  await bob.pay({ to: a.address, asset: "ETH", amount: 300n, wait: true });
  await bob.pay({ to: a.address, asset: "DAI", amount: parseEther("2"), wait: true });
  const carol = await away();
  await offer(bob, { to: carol, asset: "ETH", amount: 7777n });
  await bob.cancel((await offer(bob, { to: carol, asset: "ETH", amount: 1n })).id);
  armed = true;
  alice.pay({ to: b.address, asset: "ETH", amount: 5555n, wait: true }).catch(() => {});

  const bobsKit = kitFile("bob.json", await withEvidence);
  const alices = await alice.exportExitKit();
  await Promise.all([alice, bob].map((client) => client.disconnect()));
  await world.hub.destroy();
  assert.ok(kits.length < 20, `${kits.length} kits for a few payments`);
  assert.ok(!readFileSync(bobsKit, "utf8").includes(b.privateKey.slice(2)));

  const bobs = await leave(bobsKit, b.privateKey);
  assert.equal(bobs.code, 0, bobs.out + bobs.err);
  assert.deepEqual(sent(bobs), ["startExit", "recordEvidence", "settleBatch", "claimLock", "claimLock"], bobs.out);
  assert.equal(await heldBeforeGas(b), start + 1000n - 300n + 5555n);
  // The 2 DAI that he paid were not acknowledged, and the hub that could show them is gone.
  assert.equal(await held(b.address, "DAI"), parseEther("10000"));
  const again = await leave(bobsKit, b.privateKey);
  assert.equal(again.code, 0);
  assert.deepEqual(sent(again), [], "what is done is not done again");

  // The hub shows what Alice paid last. Bob's evidence is on chain, so nothing of it comes back.
  const paid = updates.findLast(({ proof }) => BigInt(proof.locked) === 5555n);
  const left = await leave(kitFile("alice.json", alices), a.privateKey, () => hubShows("submitProofs", alices, paid));
  assert.equal(left.code, 0, left.out + left.err);
  assert.deepEqual(sent(left), ["startExit", "settleBatch"], left.out);
  assert.equal(await heldBeforeGas(a), start - 1000n + 300n - 5555n);
  assert.equal(await held(a.address, "DAI"), parseEther("10002"));
  assert.ok(![bobs, left].some(({ out, err }) => [a, b].some(({ privateKey }) => (out + err).includes(privateKey.slice(2)))));
});

test("a hub that shows an older proof: the payments pending in that one come back, too", async () => {
  const b = await world.account();
  const [bob, updates] = await overheard(b);
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  const payee = await away();
  for (const amount of [100n, 200n]) await offer(bob, { to: payee, asset: "ETH", amount });
  const text = await bob.exportExitKit();
  await bob.disconnect();
  await world.hub.destroy();

  const [older] = updates;
  assert.equal(BigInt(older.proof.locked), 100n);
  await hubShows("startExit", text, older);

  const end = await leave(kitFile("older.json", text), b.privateKey);
  assert.equal(end.code, 0, end.out + end.err);
  assert.deepEqual(sent(end), ["settle", "claimLock"], end.out);
  assert.equal(await heldBeforeGas(b), start);
});

test("an application that fails to keep a kit is told, and gets the next one", async () => {
  const kits = [];
  let failing = true;
  let told;
  const error = new Promise((resolve) => (told = resolve));
  let taken;
  const next = new Promise((resolve) => (taken = resolve));
  const onExitKit = async (kit) => {
    if (failing) throw new Error("disk full");
    kits.push(kit);
    taken();
  };
  const client = await local(await world.account(), { onExitKit });
  client.on("error", ({ error }) => told(error));
  const { code, message } = await error;
  assert.deepEqual([code, message.includes("onExitKit: disk full")], ["invalid-argument", true]);
  failing = false;
  await client.deposit({ asset: "ETH", amount: 100n });
  await next;
  await client.pay({ to: world.hub.owner, asset: "ETH", amount: 1n, wait: true });
  await client.disconnect();
  // The last change is told before the client is gone, however short the pause was.
  assert.equal(kits.at(-1), await client.exportExitKit());
});

test("a kit that is damaged or of somebody else is refused before anything is sent; wrong use has a code of its own", async () => {
  const b = await world.account();
  const bob = await local(b);
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.pay({ to: world.hub.owner, asset: "ETH", amount: 5n, wait: true });
  await offer(bob, { to: await away(), asset: "ETH", amount: 100n });
  const early = kitFile("early.json", await bob.exportExitKit());
  await bob.cancel((await bob.payments())[0].id);
  const text = await bob.exportExitKit();
  const good = kitFile("good.json", text);
  const checked = await farthingProgram(["kit", "--check", good]);
  assert.equal(checked.code, 0, checked.err);
  assert.match(checked.out, /The kit is sound/);

  const change = (edit) => {
    const kit = JSON.parse(text);
    edit(kit);
    return JSON.stringify(kit);
  };
  const other = (hex) => hex.slice(0, -3) + (hex.at(-3) === "0" ? "1" : "0") + hex.slice(-2);
  const early0 = JSON.parse(readFileSync(early, "utf8"));
  const damaged = {
    "cut off": text.slice(0, -20),
    "not JSON": "hello",
    "of a newer version": change((kit) => (kit.version = 3)),
    "with another amount": change((kit) => (kit.assets[0].proofs[0].transferred = "4")),
    "with another signature": change((kit) => (kit.assets[0].proofs[0].signature = other(kit.assets[0].proofs[0].signature))),
    "with another channel": change((kit) => (kit.channel.salt = "9")),
    "with another calldata": change((kit) => (kit.transactions[0].data = other(kit.transactions[0].data))),
    "with another owner": change((kit) => (kit.owner = zeroAddress)),
    "without a transaction": change((kit) => kit.transactions.pop()),
    "with another lock": JSON.stringify({ ...early0, assets: early0.assets.map((asset) => JSON.parse(JSON.stringify(asset).replace('"unitPrice":"100"', '"unitPrice":"101"'))) }),
  };
  for (const [what, content] of Object.entries(damaged)) {
    const path = kitFile("damaged.json", content);
    for (const args of [["kit", "--check", path], ["exit", "--kit", path, "--rpc", world.rpcUrl, "--print-only"]]) {
      const { code, err } = await farthingProgram(args);
      assert.equal(code, 2, `${what}: ${err}`);
      assert.match(err, /^farthing: bad-kit: /, what);
    }
  }

  const url = ["--rpc", world.rpcUrl];
  const stranger = await world.account();
  const FARTHING_KEY = b.privateKey;
  for (const [wanted, args, env] of [
    ["bad-usage", ["leave"]],
    ["bad-usage", ["exit", "--kit", good]],
    ["bad-usage", ["exit", "--kit", good, ...url, "--keyfile", "x"]],
    ["bad-usage", ["exit", "--kit", good, ...url], { FARTHING_KEY }],
    ["bad-kit", ["exit", "--kit", "/nowhere/kit.json", ...url]],
    ["bad-key", ["exit", "--kit", good, ...url, "--yes"]],
    ["bad-key", ["exit", "--kit", good, ...url, "--yes"], { FARTHING_KEY: `${FARTHING_KEY}ff` }],
    ["bad-key", ["exit", "--kit", good, ...url, "--yes"], { FARTHING_KEY: "0".repeat(64) }],
    ["not-participant", ["exit", "--kit", good, ...url, "--yes"], { FARTHING_KEY: stranger.privateKey }],
  ]) {
    const { code, out, err } = await farthingProgram(args, { env });
    assert.equal(code, 2, `${args.join(" ")}: ${out}${err}`);
    assert.match(err, new RegExp(`^farthing: ${wanted}: `));
    assert.ok(!err.includes(FARTHING_KEY.slice(2)));
  }
  assert.equal((await farthingProgram(["exit", "--kit", good, "--rpc", "http://127.0.0.1:9", "--print-only"])).code, 1);

  const printed = await farthingProgram(["exit", "--kit", good, ...url, "--print-only"]);
  assert.equal(printed.code, 3, printed.err);
  const [first] = JSON.parse(printed.out).transactions;
  assert.deepEqual([first.call, first.data], ["startExit", JSON.parse(text).transactions[0].data]);
});
