// The device's clock is wrong, by minutes or by a day, in either direction: people open, pay, are paid, withdraw, close
// and leave as if it were right. Where nobody can tell whether it is the clock or the RPC, both are named.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { faultyRpc } from "../support/rpc-faults.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const script = new URL("../support/ordinary-day.mjs", import.meta.url).pathname;
const clock = new URL("../support/clock.mjs", import.meta.url).href;
const ends = [];
let world;
let bob;

before(async () => {
  world = await createWorld();
  const { privateKey } = await world.account();
  bob = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, store: "memory", pollInterval: 100 });
  await bob.deposit({ asset: "ETH", amount: parseEther("5") });
});
after(async () => {
  ends.forEach((child) => child.kill("SIGKILL"));
  await bob?.disconnect();
  await world?.stop();
});

/** A day of a process whose clock is off by so many seconds; `told` is called with each step. */
async function day(off, told, { rpc = world.rpcUrl, ...more } = {}) {
  const accounts = [await world.account(), await world.account(), await world.account()];
  const options = {
    hub: world.hubUrl, rpc, payee: bob.info.address, stranger: accounts[2].address,
    keys: accounts.map(({ privateKey }) => privateKey), ...more,
  };
  const child = spawn(process.execPath, ["--import", clock, script, JSON.stringify(options)], {
    env: { ...process.env, CLOCK_OFF: String(off) }, stdio: ["ignore", "pipe", "inherit"],
  });
  ends.push(child);
  const steps = [];
  const ended = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout })) {
    steps.push(JSON.parse(line));
    await told?.(steps.at(-1));
  }
  await ended;
  return steps;
}

for (const [off, what] of [[-90_000, "25 hours behind"], [-2_400, "40 minutes behind"], [2_400, "40 minutes ahead"], [90_000, "25 hours ahead"]]) {
  test(`a clock that is ${what} stops nothing`, async () => {
    let us;
    const steps = await day(off, async ({ step, address }) => {
      us ??= address;
      if (step === "paid-shortly") await bob.pay({ to: us, asset: "ETH", amount: 7n, wait: true });
    });
    assert.deepEqual(steps.map(({ step, code, message }) => [step, code, message].filter(Boolean).join(" ")), ["deposited", "paid", "paid-shortly", "received", "withdrawn", "closed", "leaving"]);
    assert.deepEqual(steps.slice(1, 4).map(({ status, amount }) => status ?? amount), ["completed", "completed", "7"]);
    const drift = Math.abs(steps[3].created - Date.now());
    assert.ok(drift < 600_000, `what happened is told by the time that counts, not ${drift / 1_000} s away from it`);
  });
}

test("a block that stays the newest with a clock that is 25 hours ahead: both may be wrong, and the message says by how much", async () => {
  const proxy = await faultyRpc(world.rpcUrl, []);
  try {
    const hex = (number) => `0x${number.toString(16)}`;
    const { number } = await world.chain.reader.getBlock();
    const request = { method: "eth_getBlockByNumber", params: [hex(number), false] };
    const frozen = await world.chain.reader.request(request);
    proxy.lie(({ method, params }) => (method === "eth_getBlockByNumber" && params[0] === "latest" ? frozen : undefined));
    const [failed] = await day(90_000, undefined, { rpc: proxy.url, only: "pay" });
    assert.equal(failed.step, "failed");
    assert.equal(failed.code, "chain-stale");
    assert.match(failed.message, /25 hours old by this device's clock: either the clock is wrong, 25 hours ahead, or the RPC/);
  } finally {
    await proxy.close();
  }
});
