// Under each fault of an RPC, alone and mixed by seed: first connect, deposit, payments, withdrawal, closing, exit start.
// Nothing is lost and nothing is sent twice.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, describe, it } from "node:test";
import { keccak256, parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { FAULTS, chance, faultyRpc } from "../support/rpc-faults.mjs";
import { LIES, liar } from "../support/rpc-lies.mjs";
import { createWorld } from "../support/world.mjs";
import { spendDay } from "./day.mjs";

const { connect } = await farthing();
const SEED = Number(process.env.FARTHING_SEED ?? 1);
const report = new Map();
const worlds = [];

/** A world with somebody to be paid. */
async function stage(count, options) {
  const world = await createWorld(options);
  worlds.push(world);
  const bob = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: await world.account(), store: "memory" });
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  // One after the other: they are funded by one account.
  const accounts = [];
  for (; count > 0; count -= 1) accounts.push(await world.account());
  return { world, bob, accounts };
}

after(async () => {
  await Promise.all(worlds.map((world) => world.stop()));
  const file = process.env.FARTHING_REPORT;
  if (file === undefined) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify([...report.values()].map((row) => ({ ...row, lost_wei: String(row.lost_wei) })), null, 2));
});

/** A day under a fault, as a row of the report. */
async function run(fault, { world, bob, accounts }, nodes, more) {
  const row = report.get(fault) ?? { fault, runs: 0, failed: 0, lost_wei: 0n };
  report.set(fault, row);
  row.runs += 1;
  try {
    const day = await spendDay(world, { account: accounts.pop(), payee: bob.info.address, rpcs: nodes, ...more });
    row.lost_wei += day.lost;
    assert.equal(day.lost, 0n);
    return day;
  } catch (error) {
    row.failed += 1;
    throw error;
  } finally {
    await Promise.all(nodes.map(({ close }) => close()));
  }
}

async function underFaults(fault, stage, names, seed, exits) {
  const rpc = await faultyRpc(stage.world.rpcUrl, names, seed);
  await run(fault, stage, [rpc], { exits, seed });
  for (const name of names) assert.ok(rpc.hits[name] > 0, `${name} never struck`);
}

/** One of two nodes lies, the other one has faults of its own or none. */
async function amongLies(fault, stage, lies, names, seed, exits) {
  const good = await faultyRpc(stage.world.rpcUrl, names, seed);
  const bad = liar(await faultyRpc(stage.world.rpcUrl, [], seed), lies);
  const nodes = seed % 2 === 0 ? [good, bad] : [bad, good];
  const { refused } = await run(fault, stage, nodes, { exits, seed, liars: [bad] });
  assert.ok(lies.some((lie) => bad.hits[lie] > 0), `${lies.join(", ")}: never told`);
  return refused;
}

const ALONE = Object.keys(FAULTS).filter((name) => name !== "tells-its-url");
const LIGHT = ["http-429-retry-after", "late-receipts", "lost-answers", "logs-limit", "latency", "heads-go-back"];

// Most of them wait most of the time.
describe("RPCs as they are", { concurrency: 3 }, () => {
  describe("an RPC with faults", { concurrency: 6 }, () => {
    let scene;
    before(async () => (scene = await stage(ALONE.length + 3)));
    after(() => scene?.bob.disconnect());
    for (const [index, name] of ALONE.entries()) {
      it(name, () => underFaults(name, scene, [name], SEED + index, index % 2 === 1));
    }
    for (let seed = SEED; seed < SEED + 3; seed += 1) {
      it(`a mixture, seed ${seed}`, () => {
        const random = chance(seed);
        const names = LIGHT.filter(() => random() < 0.5);
        return underFaults("mixture", scene, names.length === 0 ? ["late-receipts"] : names, seed, seed % 2 === 0);
      });
    }
  });

  describe("one of two RPCs that lies", { concurrency: 8 }, () => {
    let scene;
    before(async () => (scene = await stage(Object.keys(LIES).length + 2)));
    after(() => scene?.bob.disconnect());
    for (const [index, name] of Object.keys(LIES).entries()) {
      it(name, () => amongLies(`lie-${name}`, scene, [name], [], SEED + index, index % 2 === 1));
    }
    for (let seed = SEED; seed < SEED + 2; seed += 1) {
      it(`a mixture of lies and faults, seed ${seed}`, () => {
        const random = chance(seed);
        const some = (names) => names.filter(() => random() < 0.4);
        const lies = some(Object.keys(LIES));
        return amongLies("lies-mixture", scene, lies.length === 0 ? ["withheld-logs"] : lies, some(LIGHT), seed, seed % 2 === 0);
      });
    }
  });

  describe("reorganisations as deep as what is not final", () => {
    const CONFIRMATIONS = 3;
    let scene;
    before(async () => {
      scene = await stage(3, { hub: { confirmations: CONFIRMATIONS } });
      // What the accounts have is no part of what is taken back.
      await scene.world.chain.admin.mine({ blocks: 2 * CONFIRMATIONS });
    });
    after(() => scene?.bob.disconnect());
    for (let seed = SEED; seed < SEED + 3; seed += 1) {
      it(`seed ${seed}`, async () => {
        const random = chance(seed);
        const { world } = scene;
        const rpc = await faultyRpc(world.rpcUrl, seed === SEED ? [] : ["heads-go-back", "late-receipts"], seed);
        let [asked, taken] = [0, 0];
        /** The block that a transaction is in, and others with it, are taken back; no node has it any more. */
        const takeBack = async (raw) => {
          const { blockNumber } = await world.chain.mined(keccak256(raw));
          const least = Number((await world.chain.reader.getBlockNumber({ cacheTime: 0 })) - blockNumber) + 1;
          // It is final, or as good as.
          if (least >= CONFIRMATIONS) return;
          await world.chain.reorg(Math.max(least, 1 + Math.floor(random() * CONFIRMATIONS)));
          taken += 1;
        };
        rpc.rules.after = ({ method, params }) => {
          // On a busy machine a block may be as good as final before it is looked at: then the next one.
          if (method !== "eth_sendRawTransaction" || (asked >= 4 && taken > 0)) return undefined;
          asked += 1;
          takeBack(params[0]).catch(() => {});
          return undefined;
        };
        await run("reorganisations", scene, [rpc], { exits: seed % 2 === 0, seed });
        assert.ok(taken > 0, "nothing was taken back");
      });
    }
  });
});
