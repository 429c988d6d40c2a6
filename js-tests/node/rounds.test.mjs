// How many round trips connect() takes, one after the other, to RPC and hub together.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { countRounds } from "../support/rounds.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
let world;

before(async () => {
  world = await createWorld();
});
after(() => world?.stop());

const shown = (asked) => asked.map((round, index) => `${index + 1}: ${round.join(", ")}`).join("\n");

test("connect() takes six round trips with an empty store, and three with its own", async () => {
  const options = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: await world.account(), store: join(world.folder, "rounds.sqlite") };
  const cold = await countRounds(() => connect(options));
  await cold.result.deposit({ asset: "ETH", amount: parseEther("1") });
  await cold.result.disconnect();
  const warm = await countRounds(() => connect(options));
  const { deposited } = (await warm.result.balances()).find(({ asset }) => asset === "ETH");
  await warm.result.disconnect();
  assert.ok(cold.rounds <= 6, `cold:\n${shown(cold.asked)}`);
  assert.ok(warm.rounds <= 3, `warm:\n${shown(warm.asked)}`);
  // A count of nothing would be small, too.
  for (const { asked } of [cold, warm]) {
    for (const method of ["farthing_config", "farthing_register", "farthing_challenge", "farthing_attach", "eth_chainId", "eth_getCode"]) {
      assert.ok(asked.flat().some((call) => call.startsWith(method)), `${method} was never asked`);
    }
  }
  assert.equal(deposited, parseEther("1"));
});
