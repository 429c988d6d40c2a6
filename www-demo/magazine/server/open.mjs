// Opens a magazine for business: an engine of its own that is paid, a paywall over it, the pages.

import { join } from "node:path";
import { startMagazine } from "./magazine.mjs";

/** A tenth of a cent is two units. */
const UNIT = 5n * 10n ** 14n;
const UNITS = 500;
/** Who put nothing into a channel is not lent much by the hub: so the site begins with a cent. */
const STAKE = 10n ** 16n;

/**
 * @param {{ connect: Function, paywall: Function, sqlite: Function }} farthing what `farthing` and `farthing/paywall` export
 * @param {{ which: "post" | "water", hub: string, rpc: string, privateKey: string, wallet: string, folder: string, port?: number, idle?: number }} options
 * `folder`: where the engine's and the paywall's stores are
 */
export async function openMagazine({ connect, paywall, sqlite }, { which, hub, rpc, privateKey, wallet, folder, port, idle }) {
  const client = await connect({ hub, rpc, wallet: { privateKey }, store: join(folder, `${which}-engine.sqlite`) });
  const dai = client.info.hub.assets.find(({ asset }) => asset === "DAI");
  const held = (await client.balances()).find(({ asset }) => asset === "DAI");
  if (held.deposited === 0n) await client.deposit({ asset: "DAI", amount: STAKE });
  const store = sqlite(join(folder, `${which}-paywall.sqlite`));
  let wall;
  const magazine = await startMagazine({
    which,
    wallet,
    port,
    terms: { symbol: dai.asset, decimals: dai.decimals, unitPrice: UNIT },
    async wall(origin, { title }) {
      wall = await paywall({ client, store, origin, asset: "DAI", unitPrice: UNIT, minUnits: UNITS, wallet, title, cors: false, ...(idle === undefined ? {} : { idle }) });
      return wall;
    },
  });
  return {
    ...magazine,
    client,
    wall,
    async stop() {
      await magazine.stop();
      await wall.close();
      await client.disconnect();
    },
  };
}
