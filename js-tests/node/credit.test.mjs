// Payouts that their recipient refuses, and withdrawals that the hub won't send.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { parseEther, zeroAddress } from "viem";
import { farthingProgram, waitsUntil } from "../support/cli.mjs";
import { clientsOf } from "../support/clients.mjs";
import { createWorld } from "../support/world.mjs";

const REFUSER = "0x00000000000000000000000000000000000badad";
const OTHER = "0x00000000000000000000000000000000000000aa";
let world;
const { local, disconnectAll } = clientsOf(() => world);

beforeEach(async () => {
  world = await createWorld({ eth: { min_relayed_withdrawal: parseEther("1000000") } });
});
afterEach(async () => {
  await disconnectAll();
  await world?.stop();
});

/** The account delegates to code that reverts whatever it is sent (EIP-7702), so it takes no ETH; or it does so no more. */
async function refuses(address, on = true) {
  await world.chain.admin.setCode({ address: REFUSER, bytecode: "0x5f5ffd" });
  await world.chain.admin.setCode({ address, bytecode: on ? `0xef0100${REFUSER.slice(2)}` : "0x" });
}

const credit = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH").credit;

test("a payout that is refused is told, shown, and fetched to another account", async () => {
  const a = await world.account();
  const alice = await local(a);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await refuses(a.address);
  const told = new Promise((resolve) => alice.on("credit", resolve));
  await alice.close();
  assert.equal((await told).amount, parseEther("1"));
  assert.equal(await credit(alice), parseEther("1"));
  await assert.rejects(alice.collectCredit({ asset: "ETH" }), ({ code, message }) => code === "transaction-failed" && message.includes("`to`"));
  const { hash } = await alice.collectCredit({ asset: zeroAddress, to: OTHER });
  assert.match(hash, /^0x/);
  assert.equal(await world.balanceOf(OTHER), parseEther("1"));
  assert.equal(await credit(alice), 0n);
  await assert.rejects(alice.collectCredit({ asset: "ETH" }), { code: "insufficient-funds" });
});

test("a credit is there after a restart, and goes to the owner when it takes it", async () => {
  const a = await world.account();
  const store = join(world.folder, "credit.sqlite");
  let alice = await local(a, { store });
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await refuses(a.address);
  await alice.close();
  await alice.disconnect();
  alice = await local(a, { store });
  const told = await new Promise((resolve) => alice.on("credit", resolve));
  assert.equal(told.amount, parseEther("1"));
  await refuses(a.address, false);
  const before = await world.balanceOf(a.address);
  await alice.collectCredit({ asset: "ETH" });
  assert.ok((await world.balanceOf(a.address)) > before + parseEther("0.99"));
});

test("a withdrawal that is refused moves nothing and says what to do", async () => {
  const a = await world.account();
  const alice = await local(a);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await refuses(a.address);
  await assert.rejects(alice.withdraw({ asset: "ETH", amount: parseEther("0.2") }), ({ code, message }) => {
    assert.equal(code, "transaction-failed");
    assert.match(message, /No money moved/);
    return true;
  });
  assert.equal((await alice.balances()).find(({ asset }) => asset === "ETH").withdrawn, 0n);
});

test("what the hub won't send is sent by the wallet, and said so", async () => {
  const a = await world.account();
  const alice = await local(a);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  const stages = [];
  const onProgress = ({ stage, hash }) => stages.push(hash ? `${stage} here` : stage);
  const { hash } = await alice.withdraw({ asset: "ETH", amount: parseEther("0.2"), to: OTHER, relay: true, onProgress });
  assert.match(hash, /^0x/);
  assert.deepEqual(stages, ["relay-refused", "submitted here", "mined here", "confirmed here"]);
  assert.equal(await world.balanceOf(OTHER), parseEther("0.2"));
  stages.length = 0;
  await alice.close({ relay: true, onProgress });
  assert.equal(stages[0], "relay-refused");
  assert.equal((await alice.balances()).find(({ asset }) => asset === "ETH").status, "closed");
});

test("the program fetches a credit, to another account if it must", async () => {
  const a = await world.account();
  const alice = await local(a);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  const kit = join(world.folder, "kit.json");
  writeFileSync(kit, await alice.exportExitKit());
  await alice.disconnect();
  await refuses(a.address);
  const leave = (...more) =>
    farthingProgram(["exit", "--kit", kit, "--rpc", world.rpcUrl, "--yes", "--poll", "0.1", ...more], {
      env: { FARTHING_KEY: a.privateKey },
      onLine: async (line) => waitsUntil(line) && world.chain.passTo(Number(waitsUntil(line)) + 1),
    });
  const first = await leave();
  assert.equal(first.code, 3, first.out + first.err);
  assert.match(first.out, /stay in the contract/);
  const second = await leave("--credit-to", OTHER);
  assert.equal(second.code, 0, second.out + second.err);
  assert.equal(await world.balanceOf(OTHER), parseEther("1"));
});
