// The hub of a local set. It lends more than a hub would whose money is worth something, so that whoever tries is paid at
// once and without a deposit.
// @ts-check

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CHAIN_ID } from "./chain.mjs";
import { start } from "./process.mjs";

const UNIT = 10n ** 18n;

/** @param {bigint} units whole ones */
const whole = (units) => String(units * UNIT);

/** As TOML's inline tables: strings and numbers alone. @param {Record<string, string | number>} fields */
const table = (fields) => `{ ${Object.entries(fields).map(([name, value]) => `${name} = ${JSON.stringify(value)}`).join(", ")} }`;

/** @param {string} address @param {string} symbol @param {Record<string, string>} [more] */
const asset = (address, symbol, more = {}) =>
  table({
    address,
    symbol,
    decimals: 18,
    ...more,
    channel_capacity: whole(1_000n),
    min_payment: "1",
    max_payment: whole(100n),
    collateral: whole(5n),
    collateral_per_stake: 4_294_967_295,
    max_collateral: whole(1_000n),
    stranger_collateral: whole(5n),
    stranger_collateral_per_day: whole(5_000n),
  });

/**
 * @param {import("./process.mjs").Keeper} keeper
 * @param {{ program: string, folder: string, port: number, rpc: string, contract: string, token: string, relay: string, keys: { owner: string, signer: string } }} options
 */
export async function startHub(keeper, { program, folder, port, rpc, contract, token, relay, keys }) {
  const url = `http://127.0.0.1:${port}`;
  const config = join(folder, "hub.toml");
  const settings = {
    listen: `127.0.0.1:${port}`,
    rpc_url: rpc,
    chain_id: CHAIN_ID,
    contract,
    confirmations: 0,
    database: join(folder, "hub.sqlite"),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  lines.push(`assets = [${asset(`0x${"0".repeat(40)}`, "ETH")}, ${asset(token, "DAI", { price: String(UNIT / 3_000n), deposit_fee: String(UNIT / 100n) })}]`);
  lines.push(`challenge_period = ${table({ min: 60, max: 2_592_000, default: 3_600 })}`);
  lines.push(`relay = ${table({ contract: relay })}`);
  lines.push(`strangers = ${table({ gas_per_day: whole(1n) })}`);
  writeFileSync(config, `${lines.join("\n")}\n`);
  const env = { FARTHING_HUB_PRIVATE_KEY: keys.owner, FARTHING_HUB_SIGNER_KEY: keys.signer };
  const { until } = start(keeper, { name: "The hub", program, args: ["run", "--config", config], log: join(folder, "hub.log"), env });
  await until(async () => ((await fetch(`${url}/ready`, { signal: AbortSignal.timeout(5_000) })).ok ? true : undefined));
  return { url };
}
