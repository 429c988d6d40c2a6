// Requests that are paid, from one process to another: `client.fetch` at farthing/paywall in Express, x402's stock fetch at x402's
// stock server in Express. Ours keeps all that it spends and sells on disk, theirs in memory, as they come; once more ours is in a
// folder that is memory, so that it can be told what the disk takes.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";
import { alternate, load } from "./alternate.mjs";
import { reader } from "./peers/x402-reader.mjs";
import { PRICE, engineOf, stall } from "./stalls.mjs";

/** A file system in memory, where there is one. */
const MEMORY = "/dev/shm";

/** By how many at once: `{ farthing, memory, x402 }` of `alternate`; `memory` is not there where no such folder is. */
export async function paidFetch({ rounds = 3, sizes = { 1: 200, 16: 480 } } = {}) {
  const memory = existsSync(MEMORY) ? mkdtempSync(join(MEMORY, "farthing-bench-")) : undefined;
  try {
    return await measured(memory, rounds, sizes);
  } finally {
    if (memory) rmSync(memory, { recursive: true, force: true });
  }
}

async function measured(memory, rounds, sizes) {
  const world = await createWorld();
  const { connect } = await farthing();
  const running = [];
  const close = [];
  try {
    const open = async (name, env) => (running.push(await stall(name, env)), running.at(-1));
    const most = parseEther("1");
    /** A reader of ours, at a site of its own; both keep what they keep in this folder. */
    const ours = async (folder) => {
      const env = { ...(await engineOf(world, "shop")), ENGINE: join(folder, "shop.engine.sqlite"), STORE: join(folder, "shop.db") };
      const { url } = await open("shop.mjs", env);
      const { privateKey } = await world.account();
      const client = await connect({
        hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, store: join(folder, "reader.sqlite"), pollInterval: 500,
        budget: { perRequest: { ETH: PRICE }, perSite: { ETH: most }, perDay: { ETH: most } },
      });
      close.push(() => client.disconnect());
      await client.deposit({ asset: "ETH", amount: most });
      return (number) => read(client.fetch(`${url}/articles/${number}`), "payment-response");
    };
    const read = async (answer, paid) => {
      const response = await answer;
      const text = await response.text();
      return response.status === 200 && response.headers.has(paid) && text.includes("Article");
    };
    const asks = { farthing: await ours(world.folder), ...(memory && { memory: await ours(memory) }) };
    const { url } = await open("peers/x402-site.mjs", {});
    const get = reader();
    asks.x402 = (number) => read(get(`${url}/articles/${number}`), "payment-response");
    const sides = (requests, atOnce) => Object.fromEntries(Object.entries(asks).map(([name, ask]) => [name, () => load(ask, { requests, atOnce })]));
    const results = {};
    for (const [atOnce, requests] of Object.entries(sizes)) results[atOnce] = await alternate(sides(requests, Number(atOnce)), { rounds });
    return results;
  } finally {
    for (const work of close) await work();
    for (const { stop } of running) await stop();
    await world.stop();
  }
}
