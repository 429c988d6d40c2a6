// Several RPCs: one that fails leaves the others to decide, and what one says against the others is not believed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { artifact, farthing } from "../support/env.mjs";
import { faultyRpc } from "../support/rpc-faults.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const opened = [];
let world;

before(async () => {
  world = await createWorld();
});
after(async () => {
  await Promise.all(opened.map((end) => end()));
  await world?.stop();
});

async function node(...faults) {
  const rpc = await faultyRpc(world.rpcUrl, faults);
  opened.push(rpc.close);
  return rpc;
}

async function client(wallet, options, ...nodes) {
  const rpc = nodes.map(({ url }) => url);
  const made = await connect({ hub: world.hubUrl, rpc, wallet, store: "memory", pollInterval: 100, ...options });
  opened.unshift(() => made.disconnect());
  return made;
}

/** Every answer of one kind, for a node that has nothing else. */
const only = (status, text) => (rpc) => (rpc.rules.answer = () => ({ status, body: () => text }));

for (const [what, make] of [
  ["503", only(503, "")],
  ["a spent quota", only(429, "over quota")],
  ["a revoked key", only(401, '{"error":"unauthorized"}')],
  ["a page", only(200, "<html>")],
]) {
  test(`one of two that only answers with ${what} leaves the other to decide`, async () => {
    const [good, bad] = [await node(), await node()];
    make(bad);
    for (const nodes of [[good, bad], [bad, good]]) {
      const alice = await client(await world.account(), {}, ...nodes);
      await alice.deposit({ asset: "ETH", amount: parseEther("0.1") });
      assert.equal((await alice.balances()).find(({ asset }) => asset === "ETH").deposited, parseEther("0.1"));
    }
    assert.ok(bad.calls.length > 0);
  });
}

/** What a node says of each deposit and of each proof: twice as much. */
const doubled = (real) => real.replace(/^0x(.{64})/, (_, word) => `0x${(BigInt(`0x${word}`) * 2n + 1n).toString(16).padStart(64, "0")}`);

function liar(rpc) {
  rpc.rules.change = (text, call) => {
    const answer = JSON.parse(text);
    if (call.method !== "eth_call" || call.params[1] === "latest") return text;
    return JSON.stringify({ ...answer, result: doubled(answer.result) });
  };
}

test("what one of two says against the other is no answer", async () => {
  const [good, bad] = [await node(), await node()];
  liar(bad);
  for (const nodes of [[good, bad], [bad, good]]) {
    await assert.rejects(client(await world.account(), {}, ...nodes), (error) => {
      assert.equal(error.code, "chain-unavailable");
      assert.match(error.message, /do not agree/);
      return true;
    });
  }
});

test("two of three decide, wherever the third stands", async () => {
  const [one, two, bad] = [await node(), await node(), await node()];
  liar(bad);
  for (const nodes of [[bad, one, two], [one, bad, two], [one, two, bad]]) {
    const alice = await client(await world.account(), {}, ...nodes);
    await alice.deposit({ asset: "ETH", amount: parseEther("0.1") });
    assert.equal((await alice.balances()).find(({ asset }) => asset === "ETH").deposited, parseEther("0.1"));
  }
});

test("one on another chain is told as such", async () => {
  const [good, bad] = [await node(), await node()];
  bad.lie(({ method }) => (method === "eth_chainId" ? "0x1" : undefined));
  await assert.rejects(client(await world.account(), {}, good, bad), (error) => {
    assert.equal(error.code, "chain-mismatch");
    assert.match(error.message, new RegExp(`${bad.url} is on chain 1`));
    return true;
  });
});

test("a deposit whose fate is unknown is the same deposit when it is asked for again", async () => {
  const rpc = await node();
  const alice = await client(await world.account(), {}, rpc);
  const deposit = () => alice.deposit({ asset: "ETH", amount: parseEther("0.1") });
  // It takes the transaction, and then does not say so whatever it is asked.
  rpc.rules.after = ({ method }) =>
    ["eth_sendRawTransaction", "eth_getTransactionByHash", "eth_getTransactionReceipt"].includes(method) ? { drop: true } : undefined;
  await assert.rejects(deposit(), (error) => {
    assert.equal(error.code, "chain-unavailable");
    assert.match(error.message, /may still be mined/);
    return true;
  });
  rpc.rules.after = undefined;
  // On a node that makes a block for each transaction it is final by now, and counts once all the same.
  await deposit();
  const { abi } = artifact("Farthing");
  const all = await world.chain.reader.getContractEvents({ address: world.contract, abi, eventName: "Deposited", fromBlock: 0n });
  const ours = all.filter(({ args }) => args.channelId === alice.info.channelId && args.amount === parseEther("0.1"));
  assert.equal(ours.length, 1);
  await deposit();
  assert.equal((await alice.balances()).find(({ asset }) => asset === "ETH").deposited, parseEther("0.2"));
});
