// The wallet page and two magazines on three origins, over a world's chain and hub.

import { parseEther } from "viem";
import { openMagazine } from "../../www-demo/magazine/server/open.mjs";
import { serveWallet } from "../../www-demo/serve.mjs";
import { farthing, packageFile } from "../support/env.mjs";

/** The wallet page, with a faucet. */
export function startWallet(world, port = 0) {
  const give = (address) => world.fund(address, { eth: parseEther("1"), dai: parseEther("100") });
  return serveWallet({ hub: world.hubUrl, rpc: world.rpcUrl, give, port });
}

/** Both magazines, for a wallet page that is served. */
export async function startMagazines(world, wallet) {
  const { connect } = await farthing();
  const { paywall, sqlite } = await packageFile("paywall/index.mjs");
  const opened = [];
  const stop = async () => {
    for (const magazine of opened.splice(0).reverse()) await magazine.stop();
  };
  try {
    for (const which of ["post", "water"]) {
      const { privateKey } = await world.account({ eth: parseEther("1"), dai: parseEther("1") });
      opened.push(await openMagazine({ connect, paywall, sqlite }, { which, hub: world.hubUrl, rpc: world.rpcUrl, privateKey, wallet: `${wallet.url}/`, folder: world.folder }));
    }
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
  const [post, water] = opened;
  return { wallet, post, water, stop };
}
