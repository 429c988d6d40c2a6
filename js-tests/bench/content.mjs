// The rows of paying for content: words, requests, the paywall's price to its site, the first article of a cold page. Others are
// installed for this alone (`peers/`).

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { packageFolder } from "../support/env.mjs";

const X402 = "@x402/evm batch-settlement voucher";
const MPP = "mppx session voucher";
const LEFT_OUT = "x402's chain is left out: its escrow's books are in memory and answer at once; its reader deposited once, beforehand";
const KEPT = "its server and reader keep all in memory";

/** `row` as `bench.mjs` has it. */
export async function content(row) {
  row("pay_gzip", gzipSync(readFileSync(join(packageFolder(), "pay/index.mjs")), { level: 9 }).length, "bytes");
  await words(row);
  await requests(row);
  await paywalls(row);
  const { firstArticle } = await import("./first-article.mjs");
  const { farthing, x402 } = await firstArticle();
  const middle = ({ times }) => times[times.length >> 1];
  row("first_article", middle(farthing), "ms", "@x402/fetch", middle(x402), middle(x402) / middle(farthing), {
    script_gzip: farthing.bytes,
    peer_script_gzip: x402.bytes,
    note: `the middle of ${farthing.times.length} visits in turn, script and payment cold; ${LEFT_OUT}; its server keeps all in memory, ours on disk`,
  });
}

async function words(row) {
  const { words: measured } = await import("./words.mjs");
  const { pay, page, verify, x402Sign, x402Verify, mppSign, mppVerify } = await measured();
  for (const [name, ours, what, theirs] of [
    ["stream_pay", pay, X402, x402Sign],
    ["stream_pay", pay, MPP, mppSign],
    ["stream_pay_page", page, X402, x402Sign],
    ["stream_verify", verify, X402, x402Verify],
    ["stream_verify", verify, MPP, mppVerify],
  ]) row(name, ours, "units/s", what, theirs, ours / theirs);
}

const tail = ({ p50, p99, failed, asked }, prefix = "") => ({ [`${prefix}p50_ms`]: p50, [`${prefix}p99_ms`]: p99, [`${prefix}failed`]: failed, [`${prefix}asked`]: asked });

/** Both sides' rates, and what else `alternate` found. */
function rates(row, name, ours, peer, theirs, note) {
  row(name, ours.rate, "requests/s", peer, theirs.rate, ours.rate / theirs.rate, { ...tail(ours), ...tail(theirs, "peer_"), note });
}

async function requests(row) {
  const { paidFetch } = await import("./paid-fetch.mjs");
  for (const [atOnce, { farthing, memory, x402 }] of Object.entries(await paidFetch())) {
    rates(row, `paid_fetch_${atOnce}`, farthing, "@x402/fetch", x402, `${LEFT_OUT}; ${KEPT}, ours on disk`);
    if (memory) rates(row, `paid_fetch_${atOnce}_memory`, memory, "@x402/fetch", x402, `${LEFT_OUT}; ${KEPT}, and ours in a file system in memory`);
  }
}

async function paywalls(row) {
  const { overhead, processes } = await import("./paywall.mjs");
  for (const [framework, sizes] of Object.entries(await overhead())) {
    for (const [atOnce, { paid, unpaid }] of Object.entries(sizes)) rates(row, `paywall_overhead_${framework}_${atOnce}`, paid, "the same route unpaid", unpaid, "SQLite, durable");
  }
  for (const [atOnce, { paid, unpaid }] of Object.entries(await processes())) rates(row, `paywall_processes_${atOnce}`, paid, "the same route unpaid", unpaid, "four processes, PostgreSQL, durable, the till in a fifth");
}
