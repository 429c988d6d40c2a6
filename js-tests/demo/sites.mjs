// The wallet page and two magazines on three origins, over a world's chain and hub.

import { parseEther } from "viem";
import { openMagazine } from "../../www-demo/magazine/server/open.mjs";
import { serveWallet } from "../../www-demo/serve.mjs";
import { farthing, packageFile } from "../support/env.mjs";

/** `ports`: of wallet and magazines, where they shall be the same each time. */
export async function startSites(world, { ports = [0, 0, 0] } = {}) {
  const stops = [];
  const stop = async () => {
    for (const end of stops.reverse()) await end();
  };
  try {
    const { connect } = await farthing();
    const { paywall, sqlite } = await packageFile("paywall/index.mjs");
    const give = (address) => world.fund(address, { eth: parseEther("1"), dai: parseEther("100") });
    const wallet = await serveWallet({ hub: world.hubUrl, rpc: world.rpcUrl, chain: "a chain for trying out", give, port: ports[0] });
    stops.push(wallet.stop);
    const open = async (which, port) => {
      const { privateKey } = await world.account({ eth: parseEther("1"), dai: parseEther("1") });
      const magazine = await openMagazine({ connect, paywall, sqlite }, { which, hub: world.hubUrl, rpc: world.rpcUrl, privateKey, wallet: `${wallet.url}/`, folder: world.folder, port });
      stops.push(magazine.stop);
      return magazine;
    };
    return { wallet, post: await open("post", ports[1]), water: await open("water", ports[2]), stop };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}
