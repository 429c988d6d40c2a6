import { join } from "node:path";
import { connect } from "farthing";
import { paywall, sqlite } from "farthing/paywall";

// What a build reads is not there yet, so all of it is opened by the first request.
let opened;
const article = () => (opened ??= open());

async function open() {
  const { SHOP } = process.env;
  const { folder, origin, ...options } = JSON.parse(SHOP);
  const client = await connect({ ...options, store: join(folder, "engine.sqlite") });
  const wall = await paywall({ client, store: sqlite(join(folder, "paywall.sqlite")), origin, asset: "ETH", unitPrice: 10n, minUnits: 10 });
  return wall.route({ name: "article", price: 20n }).next(() => new Response("the whole article"));
}

export const dynamic = "force-dynamic";
export const GET = async (request) => (await article())(request);
