// Leaving without the hub, told step by step: its process ends, its database is deleted, and Bob's money comes home by
// his exit kit and `npx farthing exit`. Run by `cargo xtask demo --exit`.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEther } from "viem";
import { farthingProgram, waitsUntil } from "../support/cli.mjs";
import { artifact, farthing } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";
import { assetState, gasPaid, snapshot } from "./audit.mjs";
import { bold, chapter, dim, fact, formatUnits, green, red, say, table } from "./narrator.mjs";

const cleanups = [];
const short = (address) => `${address.slice(0, 8)}…${address.slice(-4)}`;

function must(condition, what) {
  if (!condition) throw new Error(`It does not add up: ${what}`);
}

/** A store in memory whose next commit waits for something else, if asked to. */
function memory() {
  const entries = new Map();
  const store = {
    before: async () => {},
    load: async (prefix) => [...entries].filter(([key]) => key.startsWith(prefix)).sort(([x], [y]) => (x < y ? -1 : 1)),
    async commit(writes) {
      await store.before();
      for (const [key, value] of writes) value === null ? entries.delete(key) : entries.set(key, value);
    },
    close: async () => {},
  };
  return store;
}

async function run() {
  say(bold("Farthing: the hub is gone for good, and your money comes home."));

  chapter("1. A chain, a contract, a hub; Alice, Bob and Carol");
  const world = await createWorld();
  cleanups.push(() => world.stop());
  const start = { eth: parseEther("10"), dai: parseEther("1000") };
  const [alice, bob, carol] = [await world.account(start), await world.account(start), await world.account(start)];
  const holders = { Bob: bob.address, contract: world.contract };
  const before = await snapshot(world, holders);
  const blockBefore = await world.chain.reader.getBlockNumber();
  const { connect } = await farthing();
  const open = ({ privateKey }, options) =>
    connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, store: "memory", pollInterval: 100, ...options });
  const kit = join(world.folder, "bob-exit-kit.json");
  const store = memory();
  const a = await open(alice);
  const c = await open(carol);
  let known;
  const withEvidence = new Promise((resolve) => (known = resolve));
  const b = await open(bob, {
    store,
    onExitKit(text) {
      writeFileSync(kit, text);
      if (JSON.parse(text).transactions.some(({ call }) => call === "recordEvidence")) known();
    },
  });
  for (const client of [a, b, c]) cleanups.push(() => client.disconnect());
  fact(`hub          ${world.hubUrl}  ${dim(`process ${world.hub.pid}, database ${join(world.folder, "hub.sqlite")}`)}`);
  fact(`Bob          ${bob.address}  ${dim(`channel ${short(b.info.channelId)}`)}`);
  fact(`his kit      ${kit}  ${dim("written by onExitKit whenever something changes")}`);

  chapter("2. Payments both ways, and one each way that does not come to its end");
  await a.deposit({ asset: "ETH", amount: parseEther("1") });
  await c.deposit({ asset: "ETH", amount: 1n });
  await b.deposit({ asset: "ETH", amount: parseEther("2") });
  await b.deposit({ asset: "DAI", amount: parseEther("100") });
  fact(`Bob deposits ${bold("2 ETH")} and ${bold("100 DAI")}`);
  await a.pay({ to: bob.address, asset: "ETH", amount: parseEther("0.25"), wait: true });
  fact(`Alice → Bob  ${bold("0.25 ETH")}   ${dim("completed")}`);
  await b.pay({ to: alice.address, asset: "ETH", amount: parseEther("0.0625"), wait: true });
  fact(`Bob → Alice  ${bold("0.0625 ETH")} ${dim("completed")}`);
  await c.disconnect();
  await b.pay({ to: carol.address, asset: "ETH", amount: parseEther("0.03") });
  fact(`Bob → Carol  ${bold("0.03 ETH")}   ${dim("Carol is away, and will never claim it")}`);
  await b.cancel((await b.pay({ to: carol.address, asset: "ETH", amount: 1n })).id);
  fact(dim("Bob → Carol  1 wei, taken back: the hub acknowledges, and with that all that Bob has paid so far"));

  chapter("3. The hub dies in the middle of a payment, and its memory with it");
  store.before = () => world.hub.stop("SIGKILL");
  a.pay({ to: bob.address, asset: "ETH", amount: parseEther("0.01") }).catch(() => {});
  await withEvidence;
  await world.hub.destroy();
  fact(`Alice → Bob  ${bold("0.01 ETH")}   ${dim("Bob stored its secret, and the hub was killed before it heard of it")}`);
  const answers = await fetch(world.hubUrl).then(() => true, () => false);
  must(!answers && !existsSync(join(world.folder, "hub.sqlite")), "the hub is still there");
  fact(`${green("✓")} nothing answers at ${world.hubUrl}, and its database is deleted`);
  await Promise.all([a, b].map((client) => client.disconnect()));
  fact(`Bob's browser is gone, too: what is left is the kit, ${bold(`${readFileSync(kit).length} bytes`)}, and his account`);

  chapter("4. npx farthing kit --check, npx farthing exit");
  const told = (line) => fact(dim(line));
  must((await farthingProgram(["kit", "--check", kit], { onLine: told })).code === 0, "the kit is not sound");
  say();
  const leaps = [];
  const onLine = (line) => {
    told(line);
    const until = waitsUntil(line);
    if (!until) return;
    fact("(here the chain's clock leaps to that time)");
    leaps.push(world.chain.passTo(Number(until) + 1));
  };
  const args = ["exit", "--kit", kit, "--rpc", world.rpcUrl, "--yes", "--poll", "0.2"];
  const { code, err } = await farthingProgram(args, { env: { FARTHING_KEY: bob.privateKey }, onLine });
  must(code === 0, `farthing exit ends with ${code}: ${err}`);
  await Promise.all(leaps);

  chapter("5. What the chain says");
  const after = await snapshot(world, holders);
  const gas = (await gasPaid(world, [bob.address], blockBefore)).of(bob.address);
  const eth = after.Bob.ETH - before.Bob.ETH + gas;
  const dai = after.Bob.DAI - before.Bob.DAI;
  table([
    ["", "ETH", "DAI"],
    ["received from Alice, completed", "0.25", ""],
    ["received from Alice, secret recorded on chain", "0.01", ""],
    ["paid to Alice", "-0.0625", ""],
    ["paid to Carol, unclaimed, back after its expiry", "0", ""],
    ["Bob, before gas", formatUnits(eth), formatUnits(dai)],
    ["gas of it all, deposits included", formatUnits(-gas), ""],
  ]);
  must(eth === parseEther("0.1975"), `Bob's ETH changed by ${formatUnits(eth)}`);
  must(dai === 0n, "Bob's DAI");
  for (const asset of ["ETH", "DAI"]) {
    const { status } = await assetState(world, artifact("Farthing").abi, b.info.channelId, asset);
    must(status === 2, `${asset} is not settled`);
  }
  must((await farthingProgram(args, { env: { FARTHING_KEY: bob.privateKey } })).code === 0, "a second run ends well");
  fact(`${green("✓")} adds up to the wei: the hub took nothing with it`);
}

try {
  await run();
} catch (error) {
  say(`\n${red("The demo failed:")} ${error.code ? `${error.code}: ` : ""}${error.message}`);
  if (!error.code && !error.message.startsWith("It does not add up")) say(dim(error.stack ?? ""));
  process.exitCode = 1;
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup().catch(() => {});
}
