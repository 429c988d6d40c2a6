// What the contract's calls cost in money: `node docs/site/costs.mjs --eth DOLLARS --gwei PRICE,PRICE,…` prints the table of
// docs/costs.md out of contracts/snapshots. A test holds the page to it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";
import { parseArgs } from "node:util";
import { root } from "./pages.mjs";

/** What a transaction costs before the call, and more than our longest usual calldata (600 bytes, a third of them zero). */
const [TRANSACTION, CALLDATA] = [21_000, 7_200];

const ROWS = [
  ["a payment, a stream, a paid request", []],
  ["first deposit, ETH", ["open, ETH"]],
  ["first deposit, a token (and its approval, about 46,000)", ["open, approved token"]],
  ["first deposit, a token by permit", ["depositWithPermit, own"]],
  ["withdrawal, ETH", ["withdraw, ETH"]],
  ["closing, ETH, both sides paid", ["close, ETH"]],
  ["closing, a token, both sides paid", ["close, token"]],
  ["exit of one asset without locks: start, settle", ["startExit, one proof", "settle, ETH"]],
  ["exit with 20 open locks, all of it", ["whole exit with 20 locks, transactions and all"], true],
  ["a watchtower's answer to an old proof", ["submitProofs, one acknowledged with locks"]],
];

/** The table's lines. */
export function table({ eth, gwei }) {
  const snapshot = JSON.parse(readFileSync(join(root, "contracts/snapshots/Farthing.json"), "utf8"));
  const money = (gas, price) => {
    const dollars = (gas * price * eth) / 1e9;
    return gas === 0 ? "0" : `$${dollars < 0.01 ? dollars.toFixed(4) : dollars.toFixed(2)}`;
  };
  const lines = [
    `| what | gas | ${gwei.map((price) => `at ${price} gwei`).join(" | ")} |`,
    `| --- | ---: | ${gwei.map(() => "---:").join(" | ")} |`,
  ];
  for (const [what, calls, whole = false] of ROWS) {
    const gas = calls.reduce((sum, call) => sum + Number(snapshot[call]) + (whole ? 0 : TRANSACTION + CALLDATA), 0);
    if (Number.isNaN(gas)) throw new Error(`contracts/snapshots has not all of ${calls.join(", ")}`);
    lines.push(`| ${what} | ${gas.toLocaleString("en-US")} | ${gwei.map((price) => money(gas, price)).join(" | ")} |`);
  }
  return lines;
}

if (argv[1]?.endsWith("costs.mjs")) {
  const { values } = parseArgs({ options: { eth: { type: "string" }, gwei: { type: "string" } } });
  console.log(table({ eth: Number(values.eth), gwei: values.gwei.split(",").map(Number) }).join("\n"));
}
