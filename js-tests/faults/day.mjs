// What somebody does in a day, under faults: opens, deposits, pays, withdraws, and closes or starts to leave. What may fail
// does so with a code that names the RPC, and is done again when the fault is over: nothing is lost or sent twice by that.

import assert from "node:assert/strict";
import { parseEther, zeroAddress } from "viem";
import { artifact, farthing } from "../support/env.mjs";

const { connect } = await farthing();

/** Milliseconds after which whatever was asked for must have ended, with an answer or a failure. */
const PATIENCE = 150_000;

const DEPOSIT = parseEther("1");
const WITHDRAWN = parseEther("0.25");
const PAID = 1_000n;
/** More than three or four transactions cost. */
const GAS = parseEther("0.01");

async function within(work, what) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`${what} has not ended after ${PATIENCE} ms`)), PATIENCE)));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * `account` spends a day with `rpcs`, each of which has `url` and, if it may be refused for what it says, `lift()` and
 * `impose()`. Gives `{ lost, refused }`: wei, and what failed with which code on the way.
 */
export async function spendDay(world, { account, payee, rpcs, exits, seed = 0, liars = [] }) {
  const refused = [];
  let alice;
  const named = ({ message }) => rpcs.some(({ url }) => message.includes(new URL(url).host));
  /** Once; and if it may fail and does, once more without the fault. */
  const step = async (what, work) => {
    try {
      return await within(work(), what);
    } catch (error) {
      if (liars.length === 0) throw error;
      assert.ok(["chain-unavailable", "chain-mismatch"].includes(error.code), `${what}: ${error.code ?? ""} ${error.message}`);
      assert.ok(named(error), `${what} names no RPC: ${error.message}`);
      refused.push({ what, code: error.code });
      liars.forEach(({ lift }) => lift());
      const again = await within(work(), `${what}, done again`);
      // Once it has kept somebody from what was sent: that takes its time.
      if (what === "connect") liars.forEach(({ impose }) => impose());
      return again;
    }
  };
  try {
    const options = { hub: world.hubUrl, rpc: rpcs.map(({ url }) => url), wallet: account, store: "memory", pollInterval: 100 + (seed % 5) * 50 };
    await step("connect", async () => (alice = await connect(options)));
    await step("deposit", () => alice.deposit({ asset: "ETH", amount: DEPOSIT }));
    const { id } = await step("pay", () => alice.pay({ to: payee, asset: "ETH", amount: PAID, id: `0x${seed.toString(16).padStart(32, "0")}` }));
    assert.ok(id);
    await step("withdraw", () => alice.withdraw({ asset: "ETH", amount: WITHDRAWN, relay: false }));
    if (exits) {
      await step("exit", () => {
        const stop = new AbortController();
        return new Promise((resolve, reject) => {
          alice.exit({ signal: stop.signal, onProgress: ({ stage }) => stage === "challenge" && (resolve(), stop.abort()) }).catch(reject);
        });
      });
    } else await step("close", () => alice.close({ relay: false }));
    liars.forEach(({ lift }) => lift());
    return { refused, lost: await lost(world, account, alice.info.channelId, exits) };
  } finally {
    await alice?.disconnect();
  }
}

/** By the world's own node: what is missing of what there was, or was sent twice. */
async function lost(world, { address }, channel, exits) {
  const { abi } = artifact("Farthing");
  const { contract, chain } = world;
  const all = await chain.reader.getContractEvents({ address: contract, abi, eventName: "Deposited", fromBlock: 0n });
  const deposits = all.filter(({ args }) => args.channelId === channel && args.amount === DEPOSIT);
  if (deposits.length !== 1) return DEPOSIT;
  const state = { address: contract, abi, functionName: "assetState", args: [channel, zeroAddress] };
  const { depositA, withdrawnA } = await chain.reader.readContract(state);
  const inside = exits ? depositA - withdrawnA : PAID;
  const missing = parseEther("10") - inside - (await world.balanceOf(address));
  return missing > GAS ? missing : 0n;
}
