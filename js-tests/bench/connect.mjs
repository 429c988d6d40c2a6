// What connect() takes, with an empty store and with its own: round trips one after the other, to RPC and hub together,
// and milliseconds where an answer takes none and where it takes a hundred.

import { join } from "node:path";
import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { countRounds, timed } from "../support/rounds.mjs";
import { createWorld } from "../support/world.mjs";

const TIMES = 5;

const middle = (times) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)];

/** Gives `{ connect_cold, connect_warm }`, each `{ rounds, ms_at_0, ms_at_100 }`. */
export async function connects() {
  const world = await createWorld();
  const { connect } = await farthing();
  const options = (wallet, store) => ({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store });
  const measure = async (next) => {
    let client;
    const work = async (way) => {
      const wanted = await next();
      const outcome = await way(async () => (client = await connect(wanted)));
      await client.disconnect();
      return outcome;
    };
    const at = async (latency) => {
      const times = [];
      for (let count = 0; count < TIMES; count += 1) times.push(await work((open) => timed(latency, open)));
      return middle(times);
    };
    const { rounds } = await work(countRounds);
    return { rounds, ms_at_0: await at(0), ms_at_100: await at(100) };
  };
  try {
    const cold = await measure(async () => options(await world.account({ dai: 0n }), "memory"));
    const known = options(await world.account(), join(world.folder, "bench.sqlite"));
    const client = await connect(known);
    await client.deposit({ asset: "ETH", amount: parseEther("1") });
    await client.pay({ to: world.hub.owner, asset: "ETH", amount: 1n });
    await client.disconnect();
    return { connect_cold: cold, connect_warm: await measure(() => known) };
  } finally {
    await world.stop();
  }
}
