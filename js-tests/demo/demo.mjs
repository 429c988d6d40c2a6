// The first real payment, told step by step: a real EVM node, a real hub, Alice in Node, Bob in a browser.
// Run by `cargo xtask demo`; with --keep everything is left running.

import { mkdirSync } from "node:fs";
import { parseEther } from "viem";
import { chromium as playwright } from "playwright-core";
import { chromium, farthing } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";
import { gasPaid, snapshot } from "./audit.mjs";
import { bold, chapter, dim, fact, formatUnits, green, progress, red, say, table } from "./narrator.mjs";
import { build } from "../../www-demo/build.mjs";
import { openWallet } from "./page.mjs";
import { scenes } from "./scenes.mjs";
import { startMagazines, startWallet } from "./sites.mjs";

const keep = process.argv.includes("--keep");
const BURST = 1_000;
const PICTURES = new URL("../../target/demo/", import.meta.url).pathname;
const cleanups = [];
const seconds = (since) => `${((performance.now() - since) / 1_000).toFixed(1)} s`;
const short = (address) => `${address.slice(0, 8)}…${address.slice(-4)}`;

function must(condition, what) {
  if (!condition) throw new Error(`It does not add up: ${what}`);
}

async function timed(work) {
  const started = performance.now();
  const result = await work();
  return [result, performance.now() - started];
}

/** Deposits, saying each stage once. */
async function deposit(name, client, asset, amount) {
  const [, took] = await timed(() => client.deposit({ asset, amount }));
  fact(`${name} deposits ${bold(`${formatUnits(amount)} ${asset}`)} ${dim(`confirmed in ${Math.round(took)} ms`)}`);
}

async function pay(from, to, client, address, asset, amount, memo) {
  const [payment, took] = await timed(() => client.pay({ to: address, asset, amount, memo, wait: true }));
  must(payment.status === "completed", `payment ${payment.id} is ${payment.status}`);
  const proof = `${took.toFixed(1)} ms, proof ${payment.preimage.slice(0, 14)}…`;
  fact(`${from} → ${to}  ${bold(`${formatUnits(amount)} ${asset}`.padEnd(26))} ${dim(proof)}  ${memo}`);
}

/** Many payments at once, counted as they complete. */
async function burst(client, address, asset, amount) {
  const bar = progress(BURST, "payments completed");
  let done = 0;
  const [, took] = await timed(() =>
    Promise.all(
      Array.from({ length: BURST }, (_, index) =>
        client.pay({ to: address, asset, amount, memo: `second ${index + 1} of the film`, wait: true }).then(() => bar((done += 1))),
      ),
    ),
  );
  return took;
}

const available = async (client, asset) => (await client.balances()).find((balance) => balance.asset === asset)?.available ?? 0n;

async function run() {
  const begun = performance.now();
  say(bold("Farthing: pay anyone on a hub in milliseconds, and take your money home."));

  chapter("1. A chain, a contract, a token, a hub");
  // Long enough for whoever keeps the demo and comes back later.
  const world = await createWorld();
  cleanups.push(() => world.stop());
  fact(`EVM node     ${world.rpcUrl}  ${dim("anvil, a block a second")}`);
  fact(`contract     ${world.contract}`);
  fact(`token        ${world.dai}  ${dim("DAI, an ERC-20 with permit")}`);
  fact(`hub          ${world.hubUrl}  ${dim(`owner ${short(world.hub.owner)}`)}`);
  await build();
  const wallet = await startWallet(world);
  cleanups.push(() => wallet.stop());
  fact(`wallet page  ${wallet.url}`);

  const start = { eth: parseEther("10"), dai: parseEther("1000") };
  const alice = await world.account(start);
  const bob = await world.account(start);
  const holders = { Alice: alice.address, Bob: bob.address, hub: world.hub.owner, contract: world.contract };
  const before = await snapshot(world, holders);
  const blockBefore = await world.chain.reader.getBlockNumber();

  chapter("2. Alice in Node, with a local key; Bob in Chromium, with an injected wallet");
  const { connect } = await farthing();
  const a = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: alice.privateKey }, store: `${world.folder}/alice.sqlite` });
  cleanups.push(() => a.disconnect());
  fact(`Alice ${a.info.address}  ${dim(`channel ${short(a.info.channelId)}`)}`);
  const browser = await openWallet({ url: wallet.url, rpcUrl: world.rpcUrl, privateKey: bob.privateKey });
  cleanups.push(() => browser.stop());
  const b = Object.fromEntries(
    ["deposit", "pay", "withdraw", "close", "balances", "payments"].map((method) => [method, (options) => browser.call(method, options)]),
  );
  const bobChannel = await browser.page.evaluate(() => window.farthing.client.info.channelId);
  fact(`Bob   ${browser.address}  ${dim(`channel ${short(bobChannel)}, page ${wallet.url}`)}`);
  await deposit("Alice", a, "ETH", parseEther("1"));
  await deposit("Alice", a, "DAI", parseEther("100"));
  await deposit("Bob", b, "ETH", parseEther("1"));
  await deposit("Bob", b, "DAI", parseEther("100"));

  chapter("3. Payments through the hub, which can't keep them");
  await pay("Alice", "Bob  ", a, bob.address, "ETH", 1n, "one wei");
  await pay("Alice", "Bob  ", a, bob.address, "ETH", parseEther("0.0001"), "a coffee");
  await pay("Alice", "Bob  ", a, bob.address, "DAI", 1n, "the smallest part of a DAI");
  await pay("Alice", "Bob  ", a, bob.address, "DAI", parseEther("0.001"), "a tenth of a cent: one paragraph");
  await pay("Alice", "Bob  ", a, bob.address, "DAI", parseEther("1"), "a whole DAI");
  await pay("Bob  ", "Alice", b, alice.address, "ETH", parseEther("0.00005"), "half the coffee back");
  await pay("Bob  ", "Alice", b, alice.address, "DAI", parseEther("0.25"), "change");

  chapter(`4. A burst: ${BURST} payments of a hundredth of a cent`);
  const took = await burst(a, bob.address, "DAI", parseEther("0.0001"));
  fact(`${bold(`${Math.round((BURST / took) * 1_000)} payments a second`)}, each conditional in two channels and stored by all three before it counts`);
  mkdirSync(PICTURES, { recursive: true });
  await browser.page.evaluate(() => (location.hash = "history"));
  await browser.page.waitForSelector("#count");
  await browser.page.waitForFunction((wanted) => document.getElementById("count").textContent.startsWith(`${wanted} received`), BURST + 5);
  await browser.page.screenshot({ path: `${PICTURES}bob.png` });
  fact(dim("Bob's page as it looks now: target/demo/bob.png"));

  const expected = { ETH: parseEther("1") - 1n - parseEther("0.0001") + parseEther("0.00005"), DAI: parseEther("100") - 1n - parseEther("1.101") + parseEther("0.25") };
  for (const asset of ["ETH", "DAI"]) {
    must((await available(a, asset)) === expected[asset], `Alice's ${asset}`);
    const bobs = 2n * parseEther(asset === "ETH" ? "1" : "100") - expected[asset];
    must((await available(b, asset)) === bobs, `Bob's ${asset}`);
  }
  fact(`${green("✓")} both wallets hold what they should, to the wei`);
  if (keep) return stay(world, wallet, { alice, bob });

  chapter("5. Home again");
  const part = parseEther("0.4");
  const [, withdrawal] = await timed(() => b.withdraw({ asset: "ETH", amount: part }));
  fact(`Bob withdraws ${formatUnits(part)} ETH, and his channel stays open ${dim(`${Math.round(withdrawal)} ms`)}`);
  for (const [name, client] of [["Alice", a], ["Bob", b]]) {
    const [, closing] = await timed(() => client.close());
    fact(`${name} closes with the hub's signature ${dim(`${Math.round(closing)} ms`)}`);
  }

  chapter("6. What the chain says");
  const after = await snapshot(world, holders);
  const gas = await gasPaid(world, [alice.address, bob.address, world.hub.owner], blockBefore);
  const changes = Object.entries(holders).map(([name, address]) => ({
    name,
    gas: gas.of(address),
    eth: after[name].ETH - before[name].ETH + gas.of(address),
    dai: after[name].DAI - before[name].DAI,
  }));
  table([
    ["", "ETH", "DAI", "gas paid (ETH)"],
    ...changes.map((row) => [row.name, formatUnits(row.eth), formatUnits(row.dai), formatUnits(row.gas)]),
  ]);
  const of = (name) => changes.find((row) => row.name === name);
  must(of("Alice").eth === expected.ETH - parseEther("1"), "Alice's ETH on chain");
  must(of("Alice").dai === expected.DAI - parseEther("100"), "Alice's DAI on chain");
  must(of("Bob").eth === -of("Alice").eth && of("Bob").dai === -of("Alice").dai, "Bob has what Alice paid, less what he paid");
  must(of("hub").eth === 0n && of("hub").dai === 0n, "the hub neither won nor lost");
  must(after.contract.ETH === 0n && after.contract.DAI === 0n, "the contract holds nothing any more");
  fact(`${green("✓")} adds up to the wei: ${BURST + 7} payments, ${gas.transactions} transactions, nothing left behind ${dim(seconds(begun))}`);
  must(browser.problems.length === 0, `Bob's page: ${browser.problems.join("; ")}`);
  await read(world, wallet);
}

/** A first visit, a deposit, an approval, an article, a hundred pages more; a second magazine from the same deposit; a film. */
async function read(world, wallet) {
  chapter("7. A reader with one deposit, and two magazines");
  const sites = await startMagazines(world, wallet);
  cleanups.push(() => sites.stop());
  fact(`magazines    ${sites.post.url}  ${sites.water.url}  ${dim("each with an engine and a paywall of its own")}`);
  const browser = await playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"] });
  cleanups.push(() => browser.close());
  const context = () => browser.newContext({ viewport: { width: 1080, height: 860 } });
  await scenes.reader({ world, wallet, sites, browser, context, shoot: async () => {}, told: (text) => fact(text) });
}

async function stay(world, wallet, { alice, bob }) {
  const sites = await startMagazines(world, wallet);
  cleanups.push(() => sites.stop());
  chapter("Left running; stop it with Ctrl-C");
  fact(`wallet       ${bold(sites.wallet.url)}  ${dim("choose the key in this browser; the deposit page has a faucet")}`);
  fact(`magazines    ${bold(sites.post.url)}  ${bold(sites.water.url)}  ${dim("open a paid piece, and the wallet asks you")}`);
  fact(`hub          ${world.hubUrl}`);
  fact(`RPC          ${world.rpcUrl}  chain ${world.chainId}`);
  fact(`contract     ${world.contract}`);
  fact(`DAI          ${world.dai}`);
  fact(`Alice's key  ${alice.privateKey}`);
  fact(`Bob's key    ${bob.privateKey}  ${dim("keys of this chain alone, worth nothing elsewhere")}`);
  await new Promise((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
}

async function cleanUp() {
  for (const cleanup of cleanups.reverse()) {
    try {
      await cleanup();
    } catch {
      // Whatever is gone already needs no cleaning up.
    }
  }
}

try {
  await run();
} catch (error) {
  say(`\n${red("The demo failed:")} ${error.code ? `${error.code}: ` : ""}${error.message}`);
  if (!error.code && !error.message.startsWith("It does not add up")) say(dim(error.stack ?? ""));
  process.exitCode = 1;
} finally {
  await cleanUp();
}
