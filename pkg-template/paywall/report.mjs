// The owner's report: what came in, by route; what the engine has redeemed; what can be taken out.
// @ts-check

/** @import { Report, ReportOptions } from "./index.js" */

import { shown } from "./money.mjs";
import { invalid } from "./problem.mjs";
import { Ledger } from "./store/ledger.mjs";
import { engineNote } from "./till.mjs";

/** The start of the day in local time. @param {number} now */
function midnight(now) {
  const day = new Date(now);
  day.setHours(0, 0, 0, 0);
  return day.getTime();
}

/** @param {ReportOptions} options @returns {Promise<Report>} */
export async function report({ store, client, since = midnight(Date.now()), until = Date.now() + 1 }) {
  if (!(store instanceof Ledger)) throw invalid("`store` must be sqlite(path) or postgres(pool).");
  if (!Number.isFinite(since) || !Number.isFinite(until) || since > until) throw invalid("`since` and `until` must be milliseconds since 1970, in this order.");
  const [site, noted, rows] = await Promise.all([store.rows.fact("site"), store.rows.fact("engine"), store.rows.sales(since, until)]);
  const decimals = new Map((site === undefined ? [] : JSON.parse(site).assets).map((/** @type {any} */ { token, decimals }) => [token, decimals]));
  /** @type {Map<string, Report["routes"][number]>} */
  const routes = new Map();
  for (const { route, symbol, token, unit_price: unitPrice, state, requests, charged } of rows) {
    const name = `${route}\n${token}`;
    const sum = routes.get(name) ?? { route, asset: symbol, token, decimals: decimals.get(token) ?? 18, requests: 0, free: 0, open: 0, income: 0n };
    routes.set(name, sum);
    if (state === "served") {
      sum.requests += Number(requests);
      sum.income += BigInt(charged) * BigInt(unitPrice);
    } else if (state === "failed") sum.free += Number(requests);
    else sum.open += Number(requests);
  }
  const engine = client === undefined ? noted && JSON.parse(noted) : await engineNote(client, Date.now());
  return {
    since,
    until,
    payTo: site === undefined ? undefined : JSON.parse(site).payTo,
    routes: [...routes.values()].sort((a, b) => (a.income === b.income ? a.route.localeCompare(b.route) : a.income > b.income ? -1 : 1)),
    engine: engine && {
      at: engine.at,
      connected: engine.connected,
      assets: engine.assets.map((/** @type {any} */ { symbol, token, available, receiving, receivable, shown: proved, redeemed }) => ({
        asset: symbol, token, decimals: decimals.get(token) ?? 18, withdrawable: BigInt(available), receiving: BigInt(receiving), capacity: BigInt(receivable), shown: BigInt(proved), redeemed: BigInt(redeemed),
      })),
    },
  };
}

/** The report as lines for a terminal. @param {Report} report */
export function reportLines({ since, payTo, routes, engine }) {
  const text = [`Since ${clock(since)}${payTo ? `, paid to ${payTo}` : ""}`, ""];
  const table = routes.map(({ route, asset, decimals, requests, free, open, income }) => [route, shown(income, decimals, asset), String(requests), String(free), String(open)]);
  text.push(...(table.length > 0 ? columns([["route", "came in", "paid", "not charged", "open"], ...table]) : ["Nothing came in."]), "");
  if (engine === undefined) return [...text, "The till has not said yet what the engine holds: run it with the application that has the client."];
  const money = engine.assets.map(({ asset, decimals, redeemed, withdrawable, receiving, capacity }) => [asset, ...[redeemed, withdrawable, receiving, capacity].map((amount) => shown(amount, decimals, asset))]);
  text.push(...columns([["asset", "redeemed by streams", "can be withdrawn", "on its way", "hub can pay"], ...money]));
  return [...text, "", `The lower table is as the engine said at ${clock(engine.at)}${engine.connected ? "" : ", while the hub was not connected"}.`];
}

/** Local time, in the same digits everywhere. @param {string | number | Date} time */
const clock = (time) => new Date(time).toLocaleString("sv-SE");

/** @param {string[][]} rows */
function columns(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("   ").trimEnd());
}
