// A watchtower answers an exit that somebody starts with nothing to show while the client is away.

import assert from "node:assert/strict";
import { join } from "node:path";
import { writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { createWalletClient, http, parseEther, zeroAddress } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { clientsOf } from "../support/clients.mjs";
import { artifact, hubProgram } from "../support/env.mjs";
import { start } from "../support/process.mjs";
import { faultyRpc } from "../support/rpc-faults.mjs";
import { createWorld } from "../support/world.mjs";

let world;
let tower;
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
  const privateKey = generatePrivateKey();
  await world.fund(privateKeyToAccount(privateKey).address, { dai: 0n });
  const config = join(world.folder, "watch.toml");
  writeFileSync(
    config,
    [
      `listen = "127.0.0.1:0"`,
      `rpc_url = "${world.rpcUrl}"`,
      `chain_id = ${world.chainId}`,
      `contract = "${world.contract}"`,
      `confirmations = 1`,
      `database = "${join(world.folder, "watch.sqlite")}"`,
    ].join("\n"),
  );
  tower = await start(hubProgram(), ["watch", "--config", config], {
    name: "the watchtower",
    env: { FARTHING_WATCH_PRIVATE_KEY: privateKey },
    ready: (line) => (line.includes('"listening":') && line.startsWith("{") ? JSON.parse(line).listening : undefined),
  });
});
after(async () => {
  await disconnectAll();
  await tower?.stop("SIGKILL");
  await world?.stop();
});

test("the tower shows what the client was paid", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const alice = await local(a, { watchtowers: [tower.answer] });
  const bob = await local(b);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  const watched = new Promise((resolve) => alice.on("watched", resolve));
  await bob.pay({ to: a.address, asset: "ETH", amount: parseEther("0.25"), wait: true });
  const promise = await watched;
  assert.match(promise.tower, /^0x[0-9a-fA-F]{40}$/);
  // The last proofs may still be on their way.
  const { abi } = artifact("Farthing");
  const status = async () => {
    const request = { jsonrpc: "2.0", id: 1, method: "watch_status", params: { channelId: alice.info.channelId } };
    const answer = await fetch(tower.answer, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
    });
    return (await answer.json()).result;
  };
  const receipt = (await status()).receipts.find(({ receipt }) => receipt.payer === "B");
  assert.ok(receipt.receipt.nonce >= 1);
  const { channelId, signer } = alice.info;
  const hub = alice.info.hub;
  await alice.disconnect();

  const owner = privateKeyToAccount(a.privateKey);
  const wallet = createWalletClient({ account: owner, chain: foundry, transport: http(world.rpcUrl) });
  const participant = { owner: owner.address, signer };
  const channel = { a: participant, b: { owner: hub.owner, signer: hub.signer }, challengePeriod: 3600, salt: 0n };
  const hash = await wallet.writeContract({
    address: world.contract,
    abi,
    functionName: "startExit",
    args: [channel, [], 0, "0x", 0n],
  });
  await world.chain.mined(hash);
  const lane = () =>
    world.chain.reader.readContract({
      address: world.contract,
      abi,
      functionName: "laneState",
      args: [channelId, zeroAddress, 1],
    });
  for (const end = Date.now() + 30_000; (await lane()).nonce === 0n; ) {
    assert.ok(Date.now() < end, `the tower does not answer: ${tower.said.join("").slice(-2_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal((await lane()).transferred, parseEther("0.25"));
});

test("a tower that is not there is named, and payments go on", async () => {
  const a = await world.account();
  await assert.rejects(local(a, { watchtowers: ["ftp://nowhere"] }), { code: "invalid-argument" });
  const alice = await local(a, { watchtowers: ["http://127.0.0.1:9"] });
  const named = new Promise((resolve) => alice.on("error", ({ error }) => resolve(error)));
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await alice.pay({ to: world.hub.owner, asset: "ETH", amount: 5n });
  const error = await named;
  assert.match(error.message, /Watchtower http:\/\/127.0.0.1:9/);
});

test("a block without logs of the contract costs one question, and one with them is looked at again after its logs", async () => {
  const rpc = await faultyRpc(world.rpcUrl, []);
  try {
    const alice = await local(await world.account(), { rpc: rpc.url });
    const newest = ({ method, params }) => method === "eth_getBlockByNumber" && params[0] === "latest";
    /** The client has looked once more, from beginning to end: one look may have begun before, and ends with the next. */
    const looked = async () => {
      for (const [end, past] = [Date.now() + 60_000, rpc.calls.filter(newest).length + 3]; rpc.calls.filter(newest).length < past; ) {
        assert.ok(Date.now() < end, "the client does not look");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const block = async () => (await world.chain.admin.mine({ blocks: 1 }), await looked());
    const height = () => world.chain.reader.getBlockNumber({ cacheTime: 0 });
    let [idle, before] = [undefined, 0];
    // Blocks come when they are asked for, so that the client sees each.
    await world.chain.admin.setIntervalMining({ interval: 0 });
    // What the hub has still to do for others is over soon.
    for (let tries = 0; tries < 10 && idle === undefined; tries += 1) {
      await block();
      const fromBlock = await height();
      before = rpc.calls.length;
      for (let blocks = 0; blocks < 4; blocks += 1) await block();
      const asked = rpc.calls.slice(before).filter((call) => !newest(call));
      const logs = await world.chain.reader.getLogs({ address: world.contract, fromBlock, toBlock: await height() });
      if (logs.length === 0) idle = asked;
    }
    await world.chain.admin.setIntervalMining({ interval: 1 });
    assert.deepEqual(idle, [], "nothing but the newest block was asked for");

    const bob = await local(await world.account());
    before = rpc.calls.length;
    await bob.deposit({ asset: "ETH", amount: parseEther("1") });
    await block();
    const asked = rpc.calls.slice(before).filter((call) => !newest(call));
    const logs = asked.findIndex(({ method }) => method === "eth_getLogs");
    assert.ok(logs >= 0, "logs were asked for");
    const at = `0x${(BigInt(asked[logs].params[0].toBlock) - 1n).toString(16)}`;
    assert.deepEqual(asked[logs + 1], { ...asked[logs + 1], method: "eth_getBlockByNumber", params: [at, false] });
    await alice.disconnect();
  } finally {
    rpc.close();
  }
});

// Last in this file: it takes the others' transactions back, too.
test("what a reorganisation takes back although it was final is not there any more for the client", async () => {
  const alice = await local(await world.account());
  const before = await world.chain.reader.getBlockNumber({ cacheTime: 0 });
  const id = await world.chain.admin.snapshot();
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  const deposited = async () => (await alice.balances()).find(({ asset }) => asset === "ETH").deposited;
  assert.equal(await deposited(), parseEther("1"));
  // What a hub does about it would be told in logs.
  await world.hub.stop();
  const newest = await world.chain.reader.getBlockNumber({ cacheTime: 0 });
  await world.chain.admin.revert({ id });
  await world.chain.admin.mine({ blocks: Number(newest - before) + 1 });
  for (const end = Date.now() + 60_000; (await deposited()) !== 0n; ) {
    assert.ok(Date.now() < end, "the deposit still counts");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});
