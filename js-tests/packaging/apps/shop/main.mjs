// A site's server: its store in a file, and the package's module for signatures. Nobody has opened its till yet.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as farthing from "farthing";
import { paywall, recover, sqlite } from "farthing/paywall";
import { probe } from "../shared/probe.mjs";

const DIGEST = new Uint8Array(32).fill(1);
const SIGNATURE = Uint8Array.from(Buffer.from("3e8c363aa97671cdba9205746916df555a955ebba74f4cae54f89cb9e654dc085c79f2f1f5b27ea08462ecb76733535b18e34cdeeb9c704c96eb5b8b3ed17f891c", "hex"));

const main = async () => {
  const folder = mkdtempSync(join(tmpdir(), "farthing-shop-"));
  try {
    const signer = await recover(DIGEST, SIGNATURE);
    const wall = await paywall({ store: sqlite(join(folder, "paywall.sqlite")), origin: "http://127.0.0.1", asset: "ETH", unitPrice: 1n, minUnits: 1 });
    const { status } = await wall.route({ name: "article", price: 1n }).handle(new Request("http://127.0.0.1/"), () => new Response("for nothing"));
    await wall.close();
    return `${signer.toLowerCase()}, ${status}, ${await probe(farthing, "http://127.0.0.1:1")}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
main().then((said) => console.log(said), (error) => console.log(`${error.code}: ${error.message}`));
