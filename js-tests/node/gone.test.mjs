// The hub is gone, hostile, or another one when the application starts: connect() goes on with what is stored.

import assert from "node:assert/strict";
import { existsSync, renameSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseEther } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { gasPaid } from "../demo/audit.mjs";
import { farthing } from "../support/env.mjs";
import { start as startProgram } from "../support/process.mjs";
import { createWallet } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const HOME = process.env.HOME;
let clients, servers, world, eth;

// A world for each: its hub ends, and its time leaps.
beforeEach(async () => {
  [clients, servers, eth] = [[], [], {}];
  world = await createWorld({ eth });
});
afterEach(async () => {
  process.env.HOME = HOME;
  await Promise.all(clients.map((client) => client.disconnect()));
  for (const server of servers) server.closeAllConnections();
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  await world?.stop();
});

/** Where a wallet is, whatever is at the hub's URL. */
const options = (account, more = {}) => ({
  hub: world.hubUrl,
  rpc: world.rpcUrl,
  wallet: { privateKey: account.privateKey },
  store: join(world.folder, `${account.address}.sqlite`),
  pollInterval: 100,
  ...more,
});

async function local(account, more) {
  const client = await connect(options(account, more));
  clients.push(client);
  return client;
}

const event = (client, name, wanted = () => true) =>
  new Promise((resolve) => {
    const stop = client.on(name, (happened) => {
      if (!wanted(happened)) return;
      stop();
      resolve(happened);
    });
  });

const start = parseEther("10");
const heldBeforeGas = async ({ address }) => (await world.balanceOf(address)) + (await gasPaid(world, [address], 0n)).of(address);
const passing = ({ endsAt }) => endsAt && world.chain.passTo(endsAt / 1_000 + 1);

/** Balances, without what the hub puts in meanwhile. */
const ours = async (client) => (await client.balances()).map(({ receivable: _, ...rest }) => rest);

/** A wallet that has paid 1000 wei, has 7 more in a payment that nobody takes, and whose application has ended. */
async function usedWallet(account, more, assets = ["ETH", "DAI"]) {
  const [alice, c] = [await local(account, more), await world.account()];
  const carol = await local(c, { store: "memory" });
  await carol.deposit({ asset: "ETH", amount: 1n });
  for (const asset of assets) await alice.deposit({ asset, amount: parseEther("1") });
  await alice.pay({ to: c.address, asset: "ETH", amount: 1000n, wait: true });
  await carol.disconnect();
  for (const amount of [7n, 1n]) {
    const held = event(alice, "payment", ({ payment }) => payment.status === "held" && payment.amount === amount);
    alice.pay({ to: c.address, asset: "ETH", amount }).catch(() => {});
    // A release is acknowledged, and with it all that was paid before. The rest only the hub could show.
    if (amount === 1n) await alice.cancel((await held).payment.id);
    else await held;
  }
  const kept = { balances: await ours(alice), payments: await alice.payments(), info: alice.info };
  await alice.disconnect();
  return kept;
}

/** Something else at the hub's URL. */
async function answering(handle) {
  const server = createServer((request, response) => {
    let body = "";
    // What comes next at this URL is asked on a connection of its own.
    response.setHeader("connection", "close");
    request.on("data", (chunk) => (body += chunk)).on("end", () => handle(JSON.parse(body || "{}"), response));
  });
  servers.push(server);
  const { port, hostname } = new URL(world.hubUrl);
  await new Promise((listening) => server.listen(Number(port), hostname, listening));
  return async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
    servers.splice(servers.indexOf(server), 1);
  };
}

/** Whom a hub names that is not ours; its public key in 33 bytes. */
function anotherHub() {
  const { address, publicKey } = privateKeyToAccount(generatePrivateKey());
  const isOdd = Number(`0x${publicKey.at(-1)}`) % 2 === 1;
  return { owner: address, signer: address, publicKey: `0x${isOdd ? "03" : "02"}${publicKey.slice(4, 68)}` };
}

const config = async () => {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "farthing_config", params: {} });
  return (await (await fetch(world.hubUrl, { method: "POST", body, headers: { "content-type": "application/json" } })).json()).result;
};

test("the hub and its database are gone before connect(): all is there, and exit() brings every wei home", async () => {
  const a = await world.account();
  // Where stores are by default: the hub, which gives them their names, can't be asked.
  process.env.HOME = world.folder;
  const store = undefined;
  const before = await usedWallet(a, { store });
  await world.hub.destroy();

  const began = performance.now();
  const alice = await local(a, { store });
  assert.ok(performance.now() - began < 5_000, "it does not wait for who does not answer");
  assert.deepEqual(alice.info, { ...before.info, connected: false });
  assert.deepEqual(await ours(alice), before.balances);
  assert.deepEqual(await alice.payments(), before.payments);
  assert.equal(JSON.parse(await alice.exportExitKit()).channelId, before.info.channelId);
  await assert.rejects(alice.pay({ to: a.address, asset: "ETH", amount: 1n, timeout: 1_000 }), { code: "not-connected" });
  await assert.rejects(alice.deposit({ asset: "ETH", amount: 1n }), { code: "not-connected" });
  // Another way to write the same URL finds the same wallet.
  await alice.disconnect();
  const again = await local(a, { store, hub: `${world.hubUrl}/` });
  assert.equal(again.info.channelId, before.info.channelId);

  const stages = [];
  await again.exit({
    onProgress(progress) {
      stages.push(progress.stage);
      passing(progress);
    },
  });
  assert.deepEqual(stages, ["submitted", "mined", "confirmed", "challenge", "settled", "claimed"]);
  assert.equal(await heldBeforeGas(a), start - 1000n);
  assert.equal(await world.balanceOf(a.address, "DAI"), parseEther("10000"));
  await again.disconnect();

  // It is over, and there is nothing to connect to; nor for somebody else.
  for (const account of [a, await world.account()]) await assert.rejects(connect(options(account, { store })), { code: "not-connected" });
});

test("a process that dies in the middle of an exit: the next one goes on by itself, with the hub gone", async () => {
  const a = await world.account();
  await usedWallet(a);
  await world.hub.destroy();
  const script = fileURLToPath(new URL("../support/leaver.mjs", import.meta.url));
  const leaver = await startProgram(process.execPath, [script, JSON.stringify(options(a))], {
    name: "the leaver",
    ready: (line) => [line].filter((said) => said.includes('"challenge"')).map(JSON.parse)[0],
  });
  await leaver.stop("SIGKILL");

  const alice = await local(a);
  const [settled, done] = ["claiming", "done"].map((stage) => event(alice, "exit", (happened) => happened.stage === stage));
  await world.chain.passTo(leaver.answer.endsAt / 1_000 + 1);
  await world.chain.passTo((await settled).endsAt / 1_000 + 1);
  await done;
  await alice.exit();
  assert.equal(await heldBeforeGas(a), start - 1000n);
  assert.equal(await world.balanceOf(a.address, "DAI"), parseEther("10000"));
});

test("whatever answers in the hub's place, the owner gets in, is told why, and gets out", async () => {
  const a = await world.account();
  const before = await usedWallet(a);
  const terms = await config();
  await world.hub.destroy();

  const json = (response, content) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(content));
  const result = (response, id, value) => json(response, { jsonrpc: "2.0", id, result: value });
  const saying = (changes) => ({ id, method }, response) => result(response, id, method === "farthing_config" ? { ...terms, ...changes } : {});
  const wrong = {
    "an error page": ["not-a-hub", (_, response) => response.writeHead(500).end("<h1>Internal Server Error</h1>")],
    "an error": ["not-a-hub", ({ id }, response) => json(response, { jsonrpc: "2.0", id, error: { code: -32603, message: "no" } })],
    "a refusal": ["rate-limited", ({ id }, response) => json(response, { jsonrpc: "2.0", id, error: { code: -32000, message: "no", data: { code: "rate-limited" } } })],
    "another result": ["not-a-hub", ({ id }, response) => result(response, id, {})],
    "another version": ["bad-terms", saying({ protocolVersion: 2 })],
    "a false key": ["bad-terms", saying({ hub: { ...terms.hub, signer: a.address } })],
    "another chain": ["chain-mismatch", saying({ chainId: 1 })],
    "another contract": ["chain-mismatch", saying({ contract: world.dai })],
    "another hub": ["bad-terms", saying({ hub: anotherHub() })],
    "another owner": ["bad-terms", saying({ hub: { ...terms.hub, owner: a.address } })],
    "confirmations without end": ["bad-terms", saying({ confirmations: 1e9 })],
    "challenge periods that are none": ["bad-terms", saying({ challengePeriod: { min: 9, max: 8, default: 7 } })],
    "no answer to the registration": [undefined, ({ id, method }, response) => method === "farthing_config" && result(response, id, terms)],
    "no socket": [undefined, saying({})],
    "no answer": [undefined, () => {}],
    "a channel that it does not take": ["limit-exceeded", ({ id, method }, response) =>
      method === "farthing_config" ? result(response, id, terms) : json(response, { jsonrpc: "2.0", id, error: { code: -32000, message: "no", data: { code: "limit-exceeded" } } })],
    "a list without our assets": [undefined, saying({ assets: [] })],
  };
  for (const [what, [code, handle]] of Object.entries(wrong)) {
    const stop = await answering(handle);
    const began = performance.now();
    const alice = await local(a);
    assert.ok(performance.now() - began < 10_000, `${what}: it is not waited for long`);
    if (code !== undefined) assert.equal((await event(alice, "error")).error.code, code, what);
    assert.deepEqual(await ours(alice), before.balances, what);
    assert.deepEqual({ ...alice.info, hub: undefined }, { ...before.info, connected: false, hub: undefined }, what);
    assert.equal(alice.info.hub.signer, before.info.hub.signer, what);
    await alice.disconnect();
    await stop();
  }

  await answering(wrong["a list without our assets"][1]);
  const alice = await local(a);
  await alice.exit({ onProgress: passing });
  assert.equal(await heldBeforeGas(a), start - 1000n);
  assert.equal(await world.balanceOf(a.address, "DAI"), parseEther("10000"));
});

test("an injected wallet signs the same message for the same session key, and leaves", async () => {
  const a = await world.account();
  const wallet = () => createWallet({ privateKey: a.privateKey, rpcUrl: world.rpcUrl });
  const before = await usedWallet(a, { wallet: wallet() }, ["ETH"]);
  await world.hub.destroy();
  const again = wallet();
  const alice = await local(a, { wallet: again, rpc: undefined });
  assert.equal(alice.info.signer, before.info.signer);
  assert.notEqual(alice.info.signer, a.address);
  assert.equal(again.asked.filter((method) => method === "eth_signTypedData_v4").length, 1);
  await alice.exit({ onProgress: passing });
  assert.equal(await heldBeforeGas(a), start - 1000n);
});

test("a hub that comes back as another one is refused, and nothing changes; ours with other limits is taken", async () => {
  const [a, poor] = [await world.account(), await world.account()];
  const before = await usedWallet(a);
  await (await local(poor)).disconnect();
  await world.hub.stop("SIGKILL");
  const alice = await local(a);

  const { privateKey, signerKey } = world.hub;
  const move = (from, to) => {
    for (const end of ["", "-wal", "-shm"]) {
      const file = join(world.folder, `${from}${end}`);
      if (existsSync(file)) renameSync(file, join(world.folder, `${to}${end}`));
    }
  };
  move("hub.sqlite", "ours");
  Object.assign(world.hub, { privateKey: generatePrivateKey(), signerKey: generatePrivateKey() });
  const other = privateKeyToAccount(world.hub.privateKey).address;
  await world.fund(other, { eth: start });
  let refused = event(alice, "error");
  await world.hub.start();
  assert.equal((await refused).error.code, "bad-terms");
  assert.deepEqual(alice.info, { ...before.info, connected: false });
  await alice.disconnect();

  // Nor does it take an application in that starts now; but who has nothing in the old channel goes along.
  const second = await local(a);
  refused = event(second, "error");
  assert.deepEqual(second.info, { ...before.info, connected: false });
  assert.equal((await refused).error.code, "bad-terms");
  assert.deepEqual(await ours(second), before.balances);
  const moved = await local(poor);
  assert.deepEqual([moved.info.hub.owner, moved.info.connected], [other, true]);
  await moved.disconnect();

  await world.hub.destroy();
  move("ours", "hub.sqlite");
  Object.assign(world.hub, { privateKey, signerKey });
  eth.max_payment = 500n;
  const back = event(second, "connected");
  await world.hub.start();
  await back;
  assert.equal(second.info.hub.assets[0].maxPayment, 500n);
  await assert.rejects(second.pay({ to: world.hub.owner, asset: "ETH", amount: 501n }), { code: "limit-exceeded" });
  assert.equal((await second.pay({ to: world.hub.owner, asset: "ETH", amount: 500n, wait: true })).status, "completed");
});

test("a hub that has lost everything but its key is told again who we are, and paid at once", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const [one, two] = [await local(a), await local(b)];
  for (const client of [one, two]) await client.deposit({ asset: "ETH", amount: parseEther("1") });
  await two.disconnect();
  await world.hub.destroy();
  // One was running all the time, the other starts while nobody is there.
  const running = [one, await local(b)];
  const back = running.map((client) => event(client, "connected"));
  await world.hub.start();
  await Promise.all(back);
  const paid = running.map((client) => client.pay({ to: world.hub.owner, asset: "ETH", amount: 5n, wait: true }));
  for (const { status } of await Promise.all(paid)) assert.equal(status, "completed");
});
