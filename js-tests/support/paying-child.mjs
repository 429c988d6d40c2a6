// A process that fetches one paid path and says what came: `URL STATE PATH`. Its streams are kept beside its state.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { packageFile } from "./env.mjs";
import { TERMS, engine } from "./paid-site.mjs";

const [url, state, path] = process.argv.slice(2);
const { fetching, stored } = await packageFile("fetch.mjs");
const { sqliteStore } = await packageFile("store/sqlite.mjs");
const kept = `${state}.streams`;
const durable = new Map(existsSync(kept) ? JSON.parse(readFileSync(kept, "utf8")) : []);
const made = [];
const client = engine(() => [{ learn: (stream) => made.push(stream) }], { durable });
const { stream } = client;
client.stream = async (options) => {
  const opened = await stream(options);
  writeFileSync(kept, JSON.stringify([...durable]));
  for (const one of made.splice(0)) await fetch(`${url}/learn`, { method: "POST", body: JSON.stringify(one, (_, value) => (typeof value === "bigint" ? String(value) : value)) });
  return opened;
};
const budget = { perRequest: { DAI: 9n * TERMS.unitPrice }, perSite: { DAI: 99n * TERMS.unitPrice }, perDay: { DAI: 99n * TERMS.unitPrice } };
const paying = fetching(client, { place: stored(await sqliteStore(state)), budget });
const body = await (await paying.fetch(`${url}${path}`)).text();
console.log(`${body} ${(await paying.spending())[0].amount}`);
process.exit(0);
