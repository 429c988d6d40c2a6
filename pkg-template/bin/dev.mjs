// `farthing dev`: chain, contract, test token, faucet, hub and wallet page on this machine, from npm packages alone.
// @ts-check

import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { startChain } from "../dev/chain.mjs";
import { startHub } from "../dev/hub.mjs";
import { lock } from "../dev/lock.mjs";
import { servePages } from "../dev/pages.mjs";
import { DevError } from "../dev/problem.mjs";
import { Keeper } from "../dev/process.mjs";
import { anvilProgram, hubProgram } from "../dev/programs.mjs";
import { accountOf } from "./exit.mjs";

export { DevError };

export const PORTS = { rpc: 8545, hub: 7190, wallet: 7191 };

/** Everything that has to be there the next time. Not `.farthing`, where stores of real money are. */
const FOLDER = ".farthing-dev";

/** Which set this is; without this file a folder is not ours, and is never deleted. */
const SET = "set.json";
const RUNNING = "running.json";

/** Anvil's first three keys, which everybody knows. */
const KEYS = [
  "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
  "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
  "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];

/** @typedef {{ contract: string, token: string, relay: string, from: string, keys: { owner: string, signer: string } }} Made what a set is made of */

/** @param {string} file @param {unknown} value */
function write(file, value) {
  writeFileSync(`${file}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** @param {string} file @returns {any} `undefined` if it is not there, or was not written to its end */
function read(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

/** @param {number} port @param {string} option */
function demandFree(port, option) {
  const probe = createServer();
  return new Promise((done, fail) => {
    probe.once("error", (/** @type {any} */ error) => {
      const taken = error.code === "EADDRINUSE" ? `Port ${port} is taken by another program` : `Port ${port} can't be used (${error.code})`;
      fail(new DevError("port-taken", `${taken}; end that one, perhaps what an earlier farthing dev left, or use another port with ${option} N.`));
    });
    probe.listen(port, "127.0.0.1", () => probe.close(done));
  });
}

/** Refuses a folder that somebody else made: whatever is in it might be deleted. @param {string} folder */
function demandOurs(folder) {
  if (!existsSync(folder) || existsSync(join(folder, SET)) || readdirSync(folder).length === 0) return;
  throw new DevError("not-ours", `${folder} was not made by farthing dev, but perhaps by a program that keeps its store there and ran before it; move it away, or run this in another folder.`);
}

/** Marks the folder as ours; what is there already stays. @param {string} file */
function claim(file) {
  try {
    writeFileSync(file, "{}\n", { mode: 0o600, flag: "wx" });
  } catch (/** @type {any} */ error) {
    if (error.code !== "EEXIST") throw error;
  }
}

const hexKey = () => `0x${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex")}`;

/** The set's contracts, made where it is new. @param {Awaited<ReturnType<typeof startChain>>} chain @param {string} folder @returns {Promise<Made>} */
async function makeOrFind(chain, folder) {
  const file = join(folder, SET);
  const known = read(file);
  if (known?.contract !== undefined) {
    if (await chain.has(known.contract)) return await withRelay(chain, file, known);
    throw new DevError("state-lost", `The chain in ${folder} has lost its contract, as it was ended before it was on disk; start anew with --reset.`);
  }
  // Keys of its own: what a client keeps of another set can't be mistaken for this one's.
  const [from, keys] = [accountOf(hexKey()), { owner: hexKey(), signer: hexKey() }];
  const made = { ...(await chain.deploy(from)), from, keys };
  await chain.give(made, accountOf(keys.owner), 100_000n, 10_000_000n);
  for (const key of KEYS) await chain.give(made, accountOf(key), 0n, 10_000n);
  return await withRelay(chain, file, made);
}

/** The hub refuses another relay than its version's, so an older set gets a new one. @param {Awaited<ReturnType<typeof startChain>>} chain @param {string} file @param {Omit<Made, "relay"> & { relay?: string }} known @returns {Promise<Made>} */
async function withRelay(chain, file, known) {
  const { relay } = known;
  const made = { ...known, relay: relay !== undefined && (await chain.hasRelay(relay)) ? relay : await chain.deployRelay(known.from) };
  write(file, made);
  return made;
}

/** @param {{ hub: string, rpc: string, page: string, made: Made }} set */
const told = ({ hub, rpc, page, made }) => `
Farthing runs on this machine. Nothing here is worth money.

  hub             ${hub}
  chain (RPC)     ${rpc}, chain 31337
  wallet page     ${page}/
  contract        ${made.contract}
  test token DAI  ${made.token}
  keys with money ${KEYS.join("\n                  ")}
  more money      curl ${page}/faucet --json '{"address":"0x…"}'
  state           ${FOLDER}/, which --reset deletes

Paste this into pay.mjs and run "node pay.mjs" in another terminal:

  import { connect } from "farthing";

  const client = await connect({
    hub: "${hub}",
    rpc: "${rpc}",
    wallet: { privateKey: "${KEYS[0]}" },
    store: "${FOLDER}/me.sqlite",
  });
  await client.deposit({ asset: "DAI", amount: 10n ** 18n });
  const receipt = await client.pay({ to: client.info.hub.owner, asset: "DAI", amount: 10n ** 15n });
  console.log(receipt.status);
  await client.disconnect();

Ready. Ctrl-C ends it; it goes on from here the next time.`;

/**
 * Runs until it is told to end. Fails with what keeps it from starting, or with what ended by itself.
 * @param {{ reset: boolean, rpc: number, hub: number, wallet: number, program: string | undefined }} options
 */
export async function dev({ reset, rpc, hub: hubPort, wallet, program }) {
  const programs = { anvil: anvilProgram(), hub: hubProgram(program) };
  const folder = resolve(FOLDER);
  demandOurs(folder);
  mkdirSync(folder, { recursive: true });
  claim(join(folder, SET));
  const unlock = lock(join(folder, RUNNING));
  const keeper = new Keeper();
  const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);
  const onSignal = () => keeper.end();
  for (const signal of signals) process.on(signal, onSignal);

  async function start() {
    const chain = await startChain(keeper, { program: programs.anvil, folder, port: rpc });
    const made = await makeOrFind(chain, folder);
    const hub = await startHub(keeper, { program: programs.hub, folder, port: hubPort, rpc: chain.url, ...made });
    const give = (/** @type {string} */ address) => chain.give(made, address, 1n, 100n);
    const { url } = keeper.keep(await servePages({ hub: hub.url, rpc: chain.url, give, port: wallet }));
    console.log(told({ hub: hub.url, rpc: chain.url, page: url, made }));
  }

  try {
    // Before anything is deleted or started.
    await demandFree(rpc, "--rpc-port");
    await demandFree(hubPort, "--hub-port");
    await demandFree(wallet, "--wallet-port");
    if (reset) {
      // What another one has beside the lock while it asks for it is its own.
      const kept = (/** @type {string} */ name) => name === SET || name.startsWith(RUNNING);
      for (const name of readdirSync(folder)) if (!kept(name)) rmSync(join(folder, name), { recursive: true });
      write(join(folder, SET), {});
    }
    // Keys that are worth nothing, and a chain: no part of anybody's repository.
    writeFileSync(join(folder, ".gitignore"), "*\n");
    await Promise.race([start(), keeper.ended]);
    await keeper.ended;
    console.log("\nEnding …");
  } finally {
    await keeper.stop();
    for (const signal of signals) process.off(signal, onSignal);
    unlock();
  }
}
