// The program `farthing` with the RPCs of an ordinary afternoon: whatever one of them does, it leaves with the same money
// by the same transactions, or says what became of them, and never tells a key in a URL.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { keccak256, parseEther, parseTransaction } from "viem";
import { farthingProgram, waitsUntil } from "../support/cli.mjs";
import { farthing } from "../support/env.mjs";
import { faultyRpc } from "../support/rpc-faults.mjs";
import { createWorld } from "../support/world.mjs";

const SECRET = "v3/c0ffee5ec2e7";
const MUST_LEAVE = ["http-429", "http-429-retry-after", "http-503", "rate-limit-32005", "internal-error", "header-not-found", "html", "truncated", "wrong-id", "null", "drop", "heads-go-back", "late-receipts", "lost-answers", "error-after-taking"];

describe("farthing exit over an RPC with faults", { concurrency: 8 }, () => {
  let world;
  const leavers = [];

  // One after the other, and before time leaps for those who leave.
  before(async () => {
    world = await createWorld();
    for (let count = MUST_LEAVE.length + 6; count > 0; count -= 1) leavers.push(await newLeaver());
  });
  after(() => world?.stop());

  /** Somebody with 1 ETH in a channel, and the kit to take it out. */
  async function newLeaver() {
    const { connect } = await farthing();
    const account = await world.account();
    const { privateKey } = account;
    const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, store: "memory", pollInterval: 100 });
    await client.deposit({ asset: "ETH", amount: parseEther("1") });
    const kit = join(world.folder, `${account.address}.json`);
    writeFileSync(kit, await client.exportExitKit());
    await client.disconnect();
    return { kit, ...account };
  }

  const leave = ({ kit, privateKey }, urls, onLine) => {
    const args = ["exit", "--kit", kit, ...urls.flatMap((url) => ["--rpc", url]), "--yes", "--poll", "0.2"];
    return farthingProgram(args, { env: { FARTHING_KEY: privateKey }, onLine });
  };

  /** Lets the chain's time pass whenever the program waits. */
  const passing = (line) => waitsUntil(line) && world.chain.passTo(Number(waitsUntil(line)) + 1);
  const count = ({ address }) => world.chain.reader.getTransactionCount({ address });

  for (const [index, name] of MUST_LEAVE.entries()) {
    test(name, async () => {
      const who = leavers.pop();
      const [had, nonce] = [await world.balanceOf(who.address), await count(who)];
      const rpc = await faultyRpc(world.rpcUrl, [name], index);
      const { code, out, err } = await leave(who, [`${rpc.url}/${SECRET}`], passing);
      await rpc.close();
      assert.equal(code, 0, out + err);
      assert.ok(rpc.hits[name] > 0, "the fault struck");
      assert.ok(!(out + err).includes("c0ffee"));
      // Each transaction once.
      assert.equal((await count(who)) - nonce, [...out.matchAll(/^ {2}sent 0x/gm)].length);
      const gained = (await world.balanceOf(who.address)) - had;
      assert.ok(gained > parseEther("0.99") && gained < parseEther("1"), `${gained}`);
    });
  }

  test("a node that is down is left out, and one of another chain is never asked", async () => {
    const who = leavers.pop();
    const dead = `http://127.0.0.1:9/${SECRET}`;
    const { code, out, err } = await leave(who, [dead, world.rpcUrl], passing);
    assert.equal(code, 0, out + err);
    const other = await faultyRpc(world.rpcUrl, []);
    other.lie(({ method }) => (method === "eth_chainId" ? "0x1" : undefined));
    const refused = await leave(who, [`${other.url}/${SECRET}`]);
    await other.close();
    assert.equal(refused.code, 2, refused.out + refused.err);
    assert.match(refused.err, /^farthing: wrong-chain: http:\/\/127\.0\.0\.1:\d+ is on chain 1, the channel on chain 31337\.$/m);
    assert.deepEqual(new Set(other.calls.map(({ method }) => method)), new Set(["eth_chainId"]));
  });

  test("what two nodes do not agree on moves nothing", async () => {
    const who = leavers.pop();
    const nonce = await count(who);
    const liar = await faultyRpc(world.rpcUrl, []);
    // There is no exit, no deposit, nothing.
    liar.lie(({ method }) => (method === "eth_call" ? `0x${"0".repeat(64 * 8)}` : undefined));
    const { code, out, err } = await leave(who, [liar.url, world.rpcUrl]);
    await liar.close();
    assert.equal(code, 1, out + err);
    assert.match(err, /do not agree about eth_call/);
    assert.equal(await count(who), nonce);
  });

  test("when nothing answers it ends, and tells no key", async () => {
    const who = leavers.pop();
    for (const url of [`http://user:c0ffee@127.0.0.1:9/${SECRET}`, `http://no.invalid/${SECRET}?key=c0ffee`]) {
      const { code, out, err } = await leave(who, [url]);
      assert.equal(code, 1, out + err);
      assert.match(err, /^farthing: rpc-failed: The RPC does not answer: http:\/\/(127\.0\.0\.1:9|no\.invalid): (E[A-Z_]+|the connection failed)$/m);
      assert.ok(!(out + err).includes("c0ffee"));
    }
    const teller = await faultyRpc(world.rpcUrl, ["tells-its-url"]);
    teller.lie(({ method }) => (method === "eth_chainId" ? "0x7a69" : undefined));
    const { code, out, err } = await leave(who, [teller.url]);
    await teller.close();
    assert.equal(code, 1, out + err);
    assert.match(err, /no such method at https:\/\/rpc\.example ask there/);
  });

  test("a node that takes transactions and denies it: the chain tells, and nothing is sent twice", async () => {
    const who = leavers.pop();
    const nonce = await count(who);
    const rpc = await faultyRpc(world.rpcUrl, ["refused-after-taking"]);
    rpc.lie(({ method }) => (/^eth_getTransaction(ByHash|Receipt)$/.test(method) ? null : undefined));
    const { code, out, err } = await leave(who, [rpc.url], passing);
    await rpc.close();
    assert.equal(code, 0, out + err);
    const raws = rpc.calls.filter(({ method }) => method === "eth_sendRawTransaction").map(({ params }) => params[0]);
    assert.equal((await count(who)) - nonce, new Set(raws).size);
    assert.equal(out.match(/^startExit/gm).length, 1, out);
  });

  test("what nobody mines at its price is sent again for more, and paid for once", async () => {
    const who = leavers.pop();
    const nonce = await count(who);
    const rpc = await faultyRpc(world.rpcUrl, []);
    const raws = [];
    // Two are taken and forgotten, while blocks come; a third is too cheap to replace something.
    rpc.rules.answer = ({ method, params, id }) => {
      if (method === "eth_getTransactionReceipt" && raws.length < 4) void world.chain.admin.mine({ blocks: 1 });
      if (method !== "eth_sendRawTransaction") return undefined;
      raws.push(parseTransaction(params[0]));
      const answer = raws.length === 3 ? { error: { code: -32000, message: "replacement transaction underpriced" } } : { result: keccak256(params[0]) };
      return raws.length < 4 ? { body: () => JSON.stringify({ jsonrpc: "2.0", id, ...answer }) } : undefined;
    };
    const { code, out, err } = await leave(who, [rpc.url], passing);
    await rpc.close();
    assert.equal(code, 0, out + err);
    assert.deepEqual(raws.slice(0, 4).map((raw) => raw.nonce), Array(4).fill(nonce));
    assert.equal(new Set(raws.slice(0, 4).map(({ data }) => data)).size, 1);
    for (const [before, now] of [[0, 1], [1, 2], [2, 3]]) {
      for (const fee of ["maxFeePerGas", "maxPriorityFeePerGas"]) assert.ok(raws[now][fee] * 4n >= raws[before][fee] * 5n, fee);
    }
    assert.equal((await count(who)) - nonce, raws.length - 3);
    assert.equal(out.match(/^startExit/gm).length, 1, out);
  });
});
