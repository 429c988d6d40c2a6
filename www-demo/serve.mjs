// The wallet page as it was built here, served as its host would: by the package's own server, `farthing dev`'s. `js-tests/demo/sites.mjs` starts it
// beside a chain and a hub; `docs/wallet.md` is for other hosts.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { servePages } from "../pkg-template/dev/pages.mjs";
import { packageFolder } from "./build.mjs";

export { listen, sendFile, sendJson, walletHeaders } from "../pkg-template/dev/pages.mjs";

const OUT = fileURLToPath(new URL("../target/www/", import.meta.url));

/**
 * The wallet page. `give(address)` is the faucet, where there is one; with it a key may be made in the browser, too.
 * @param {{ hub: string, rpc?: string, give?: (address: string) => Promise<void>, port?: number, folder?: string }} options
 */
export const serveWallet = ({ folder = join(OUT, "wallet"), ...options }) => servePages({ folder, engine: packageFolder(), ...options });
