// A watchtower answers an exit that somebody starts with nothing to show while the client is away.

import assert from "node:assert/strict";
import { join } from "node:path";
import { writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { createWalletClient, http, parseEther, zeroAddress } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { artifact, farthing, hubProgram } from "../support/env.mjs";
import { start } from "../support/process.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const clients = [];
let world;
let tower;

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
  await Promise.all(clients.map((client) => client.disconnect()));
  await tower?.stop("SIGKILL");
  await world?.stop();
});

async function local(account, options = {}) {
  const client = await connect({
    hub: world.hubUrl,
    rpc: world.rpcUrl,
    wallet: { privateKey: account.privateKey },
    store: "memory",
    pollInterval: 100,
    ...options,
  });
  clients.push(client);
  return client;
}

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
    args: [channel, [], "0x", 0n],
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
