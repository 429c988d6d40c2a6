// Requests that are paid, from one process to another: `client.fetch` at farthing/paywall in Express, x402's stock fetch at x402's
// stock server in Express. Ours keeps all that it spends and sells on disk, theirs in memory, as they come.

import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";
import { alternate, load } from "./alternate.mjs";
import { reader } from "./peers/x402-reader.mjs";
import { PRICE, engineOf, stall } from "./stalls.mjs";

/** By how many at once: `{ farthing, x402 }` of `alternate`. */
export async function paidFetch({ rounds = 3, sizes = { 1: 200, 16: 480 } } = {}) {
  const world = await createWorld();
  const { connect } = await farthing();
  const running = [];
  const close = [];
  try {
    running.push(await stall("shop.mjs", { ...(await engineOf(world, "shop")), STORE: `${world.folder}/shop.db` }), await stall("peers/x402-site.mjs", {}));
    const [ours, theirs] = running;
    const account = await world.account();
    const most = parseEther("1");
    const client = await connect({
      hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: account.privateKey }, store: `${world.folder}/reader.sqlite`, pollInterval: 500,
      budget: { perRequest: { ETH: PRICE }, perSite: { ETH: most }, perDay: { ETH: most } },
    });
    close.push(() => client.disconnect());
    await client.deposit({ asset: "ETH", amount: most });
    const get = reader();
    const read = async (answer, paid) => {
      const response = await answer;
      const text = await response.text();
      return response.status === 200 && response.headers.has(paid) && text.includes("rticle");
    };
    const sides = (requests, atOnce) => ({
      farthing: () => load((number) => read(client.fetch(`${ours.url}/articles/${number}`), "payment-response"), { requests, atOnce }),
      x402: () => load((number) => read(get(`${theirs.url}/articles/${number}`), "payment-response"), { requests, atOnce }),
    });
    const results = {};
    for (const [atOnce, requests] of Object.entries(sizes)) results[atOnce] = await alternate(sides(requests, Number(atOnce)), { rounds });
    return results;
  } finally {
    for (const work of close) await work();
    for (const { stop } of running) await stop();
    await world.stop();
  }
}
