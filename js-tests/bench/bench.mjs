// Measures the package beside what others would use, in one run: signing and recovering a balance proof in Node and in
// Chromium, the package's size, what connect() takes, with and without a cache, payments through the hub, what an exit costs, the time in which a
// tab takes over, what paying for content takes (`content.mjs`). Each row is a line of JSON; the last line has all of them.
// `node bench/bench.mjs content` measures only the last, `ready` only the time from connect() to a client that is there.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { parseEther } from "viem";
import { openBrowser } from "../support/browser.mjs";
import { farthing, packageFolder } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

const rows = [];
const round = (value) => Number(value.toPrecision(4));
const rounded = (more) => Object.fromEntries(Object.entries(more).map(([name, value]) => [name, typeof value === "number" ? round(value) : value]));

function row(name, value, unit, peer = null, peerValue = null, ratio = null, more = {}) {
  rows.push({ name, value: round(value), unit, peer, peer_value: peerValue && round(peerValue), ratio: ratio && round(ratio), ...rounded(more) });
  console.log(JSON.stringify(rows.at(-1)));
}

function report(where, times) {
  for (const what of ["sign", "recover"]) {
    for (const peer of ["viem", "@noble/curves"]) {
      const [ours, theirs] = [times.farthing[what], times[peer][what]];
      row(where === "Node" ? what : `${what}_chromium`, ours, "µs", `${peer} in ${where}`, theirs, theirs / ours);
    }
  }
}

async function sizes() {
  const loaded = [
    "core_bg.wasm", "core_bg.js", "browser.mjs", "core.mjs", "events.mjs", "face.mjs", "faults.mjs", "inspect.mjs", "log.mjs", "state.mjs", "streams.mjs",
    "tab-calls.mjs", "tabs.mjs", "units.mjs",
  ];
  const names = readdirSync(packageFolder()).filter((name) => loaded.includes(name));
  const total = names.reduce((sum, name) => sum + gzipSync(readFileSync(join(packageFolder(), name)), { level: 9 }).length, 0);
  row("package_gzip_browser", total, "bytes", "Connext V2's client, as published", 709_000, 709_000 / total);
}

/** From an empty store to a wallet that can pay again, its state from the hub's backup. */
async function restore() {
  const world = await createWorld();
  const { connect } = await farthing();
  try {
    const account = await world.account();
    const open = () =>
      connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: account.privateKey }, store: "memory", pollInterval: 200 });
    const first = await open();
    await first.deposit({ asset: "ETH", amount: parseEther("1") });
    for (let count = 0; count < 50; count += 1) await first.pay({ to: world.hub.owner, asset: "ETH", amount: 1n });
    await first.disconnect();
    const times = [];
    for (let count = 0; count < 11; count += 1) {
      const started = performance.now();
      const client = await open();
      await client.pay({ to: world.hub.owner, asset: "ETH", amount: 1n });
      times.push(performance.now() - started);
      await client.disconnect();
    }
    times.sort((a, b) => a - b);
    row("restore", times[5], "ms");
  } finally {
    await world.stop();
  }
}

async function payments() {
  const world = await createWorld();
  const { connect } = await farthing();
  const clients = [];
  const join_ = async (store) => {
    const account = await world.account();
    const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: account.privateKey }, store, pollInterval: 200 });
    clients.push(client);
    await client.deposit({ asset: "ETH", amount: parseEther("1") });
    return client;
  };
  try {
    const alice = await join_(join(world.folder, "alice.sqlite"));
    const bob = await join_(join(world.folder, "bob.sqlite"));
    const pay = (to) => alice.pay({ to, asset: "ETH", amount: 1n, wait: true });
    const drained = async () => {
      while ((await alice.balances()).some(({ sending }) => sending > 0n)) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await pay(bob.info.address);

    const times = [];
    for (let count = 0; count < 300; count += 1) {
      const started = performance.now();
      await pay(bob.info.address);
      if (count >= 50) times.push(performance.now() - started);
    }
    times.sort((x, y) => x - y);
    const at = (share) => times[Math.floor(times.length * share)];
    row("payment_sequential_js_p50", at(0.5), "ms", "Connext V2, as published", 3_500, 3_500 / at(0.5));
    row("payment_sequential_js_p99", at(0.99), "ms");
    await drained();

    const burst = async (name, to, count, peer, peerValue) => {
      const started = performance.now();
      await Promise.all(Array.from({ length: count }, () => pay(to)));
      const rate = count / ((performance.now() - started) / 1_000);
      row(name, rate, "payments/s", peer, peerValue, peerValue && rate / peerValue);
      await drained();
    };
    await burst("payment_pipelined_js", bob.info.address, 1_000);
    await burst("payment_pipelined_js", bob.info.address, 3_000, "Connext V2, as published", 1);
    await burst("transfer_direct_js", world.hub.owner, 10_000);
  } finally {
    await Promise.all(clients.map((client) => client.disconnect()));
    await world.stop();
  }
}

async function loading() {
  const { readies } = await import("./ready.mjs");
  for (const [name, [ms, more]] of Object.entries(await readies())) row(name, ms, "ms", null, null, null, more);
}

async function engine() {
  const { measure } = await import("./signatures.mjs");
  const { BenchKey } = await (await farthing())._testing();
  report("Node", await measure(BenchKey));

  const tools = await build({
    entryPoints: [new URL("./signatures.mjs", import.meta.url).pathname],
    bundle: true,
    format: "iife",
    globalName: "signatures",
    write: false,
    logLevel: "silent",
  });
  const browser = await openBrowser();
  try {
    const page = await browser.newPage();
    await page.addScriptTag({ content: tools.outputFiles[0].text });
    report("Chromium", await page.evaluate(async () => signatures.measure((await farthing._testing()).BenchKey)));
  } finally {
    await browser.close();
  }
  await sizes();
  const { connects } = await import("./connect.mjs");
  for (const [name, { rounds, ms_at_0, ms_at_100 }] of Object.entries(await connects())) {
    row(name, rounds, "round trips", null, null, null, { ms_at_0, ms_at_100 });
  }
  await loading();
  await restore();
  await payments();
  const { exitGas } = await import("./exit.mjs");
  for (const locks of [0, 1, 20]) row(`exit_gas_${locks}_lock${locks === 1 ? "" : "s"}`, await exitGas(locks), "gas");
  const { takeovers } = await import("./tabs.mjs");
  for (const [way, times] of Object.entries(await takeovers())) {
    row(way === "closed" ? "tab_takeover" : `tab_takeover_${way}`, times[Math.floor(times.length / 2)], "ms");
  }
}

const { content } = await import("./content.mjs");
if (process.argv[2] === "ready") await loading();
else {
  if (process.argv[2] !== "content") await engine();
  await content(row);
}
console.log(JSON.stringify(rows));
