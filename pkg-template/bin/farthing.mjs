#!/usr/bin/env node
// The program `farthing`: runs chain and hub for whoever develops; writes the wallet page for a host; leaves a channel with
// nothing but an exit kit and an RPC, no hub, no store; and tells the owner of a site what came in.
// @ts-check

/** @import { Action, Kit } from "../internal.js" */

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { ExitError, engine, key, leave, verify } from "./exit.mjs";
import { rpc } from "./rpc.mjs";

const HELP = `Usage:
  farthing dev                         chain, contract, test token, faucet, hub and wallet page on this machine
    --reset            forget all of it first (.farthing-dev/ in this folder)
    --rpc-port N       and --hub-port N, --wallet-port N: other ports than 8545, 7190 and 7191
    --hub-program FILE the hub's program, where no package has it for this platform
  farthing wallet FOLDER --hub URL     write the wallet page into a folder, for a host of static files
    --rpc URL          a node that every reader's page asks; without it each reader's own wallet is asked
    --name NAME        what the page calls itself
  farthing exit --kit FILE --rpc URL   take everything out of the channel, without the hub
    --rpc URL          once more: another node, asked when the first fails, and which must agree with it
    --key-file FILE    the owner's or signer's private key, 0x and 64 hex digits; or the environment's FARTHING_KEY
    --print-only       no key: print what to send now from any wallet, and what to wait for
    --yes              do not ask before the first transaction
    --no-wait          end with code 3 where there is something to wait for; run it again later
    --credit-to ADDR   what the owner's account could not be paid goes to this one; takes the owner's key
    --confirmations N  blocks above a block that make it count, 12 by default, 0 on chains 31337 and 1337
    --poll SECONDS     between looks at the chain, 4 by default
  farthing kit --check FILE            check a kit, without network
  farthing paywall report --store FILE what a site took in today, by route; FILE or postgres://… is its paywall's store
    --since DAY        and --until DAY: another time, as 2026-01-31 or with a time of day
    --json             for programs, amounts in base units

Codes: 0 done, 1 failed (run it again: it goes on where the chain is), 2 wrong use, a bad kit or key,
3 to be continued, 4 done, but the chain holds locks that only a newer kit can claim.
docs/ of the repository says more.
`;

const [DONE, FAILED, MISUSED, LATER, INCOMPLETE] = [0, 1, 2, 3, 4];
const MISUSES = new Set(["bad-usage", "bad-kit", "bad-key", "not-participant", "wrong-chain"]);

/** @satisfies {Record<string, NonNullable<import("node:util").ParseArgsConfig["options"]>>} */
const OPTIONS = {
  dev: {
    reset: { type: "boolean" },
    "rpc-port": { type: "string" },
    "hub-port": { type: "string" },
    "wallet-port": { type: "string" },
    "hub-program": { type: "string" },
  },
  wallet: { hub: { type: "string" }, rpc: { type: "string" }, name: { type: "string" } },
  exit: {
    kit: { type: "string" },
    rpc: { type: "string", multiple: true },
    "key-file": { type: "string" },
    "print-only": { type: "boolean" },
    yes: { type: "boolean" },
    "no-wait": { type: "boolean" },
    "credit-to": { type: "string" },
    confirmations: { type: "string" },
    poll: { type: "string" },
  },
  kit: { check: { type: "string" } },
  paywall: { store: { type: "string" }, since: { type: "string" }, until: { type: "string" }, json: { type: "boolean" } },
};

/** @param {string} message */
const misuse = (message) => new ExitError("bad-usage", `${message} See farthing --help.`);

/** @param {keyof typeof OPTIONS} command @param {string[]} args @returns {{ values: Record<string, any>, positionals: string[] }} */
function options(command, args) {
  try {
    return parseArgs({ args, options: OPTIONS[command], strict: true, allowPositionals: command === "wallet" });
  } catch (/** @type {any} */ error) {
    throw misuse(`${error.message.split("\n")[0].replace(/\.?$/, ".")}`);
  }
}

/** @param {string} path @returns {Kit} */
function open(path) {
  if (!path) throw misuse("Which kit? Name its file.");
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch (/** @type {any} */ error) {
    throw new ExitError("bad-kit", `${path} can't be read: ${error.message}`);
  }
  const kit = engine.readKit(text);
  verify(kit);
  return kit;
}

/** @param {Kit} kit */
function describe(kit) {
  const locks = kit.assets.flatMap(({ lanes }) => lanes.flatMap(({ trees }) => [...trees.values()]));
  console.log(`channel   ${kit.channelId}`);
  console.log(`contract  ${kit.contract} on chain ${kit.chainId}`);
  console.log(`owner     ${kit.owner}`);
  for (const { asset, proofs } of kit.assets) {
    const nonces = proofs.map(({ payer, nonce }) => `${payer === kit.us ? "paid" : "received"} up to proof ${nonce}`);
    console.log(`asset     ${asset}  ${nonces.join(", ") || "deposits only"}`);
  }
  console.log(`pending   locks at ${locks.length} of its proofs; payments to you whose secret is known: ${kit.evidence.length}`);
}

async function sure() {
  if (!process.stdin.isTTY) throw misuse("Nobody can be asked here; add --yes.");
  const asked = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await asked.question("An exit can't be stopped once it has started. Go on? [y/N] ");
  asked.close();
  return /^y(es)?$/i.test(answer.trim());
}

/** @param {Record<string, any>} values */
async function exit(values) {
  const kit = open(values.kit);
  const urls = values.rpc ?? [];
  if (urls.length === 0 || !urls.every((/** @type {string} */ url) => /^https?:\/\//.test(url) && URL.canParse(url))) {
    throw misuse("--rpc takes the URL of an Ethereum node, http or https.");
  }
  const poll = Number(values.poll ?? 4);
  if (!(poll > 0 && poll <= 600)) throw misuse("--poll takes seconds, up to 600.");
  const confirmations = values.confirmations === undefined ? undefined : Number(values.confirmations || NaN);
  if (confirmations !== undefined && !(Number.isInteger(confirmations) && confirmations >= 0 && confirmations <= 1_000)) {
    throw misuse("--confirmations takes a number of blocks, up to 1000.");
  }
  const recipient = values["credit-to"];
  if (recipient !== undefined && !/^0x[0-9a-fA-F]{40}$/.test(recipient)) throw misuse("--credit-to takes an address: 0x and 40 hex digits.");
  const ask = rpc(urls, kit.chainId);
  const say = (/** @type {string} */ line) => console.log(line);
  if (values["print-only"]) {
    const { stage, actions, wait, warnings } = await leave.look(ask, kit);
    const over = actions.length === 0 && !wait;
    const salt = engine.hexOf(crypto.getRandomValues(new Uint8Array(32)));
    if (over) actions.push(...(await engine.credits(ask, kit)).map((/** @type {unknown} */ credit) => engine.creditCall(kit, credit, recipient, salt)));
    say(JSON.stringify({ stage, from: kit.owner, transactions: actions.map((/** @type {Action} */ { call, to, data }) => ({ call, to, data, value: "0" })), wait, warnings }, null, 2));
    return actions.length > 0 || wait ? LATER : DONE;
  }
  const sender = key(values["key-file"], process.env.FARTHING_KEY);
  const confirm = values.yes ? async () => true : sure;
  const end = await leave.drive({ ask, kit, sender, confirm, say, poll: poll * 1_000, patient: !values["no-wait"], recipient, confirmations });
  return { done: DONE, later: LATER, incomplete: INCOMPLETE }[end];
}

/** @param {Record<string, any>} values */
async function income(values) {
  // Whoever leaves a channel need not load it.
  const { Misuse, printReport } = await import("./paywall.mjs");
  try {
    await printReport(values);
  } catch (/** @type {any} */ error) {
    throw error instanceof Misuse ? misuse(error.message) : error;
  }
  return DONE;
}

/** @param {string[]} folders @param {Record<string, any>} values */
async function page(folders, values) {
  const { DevError, Misuse, printWallet } = await import("./wallet.mjs");
  try {
    printWallet(folders, values);
  } catch (/** @type {any} */ error) {
    if (error instanceof Misuse) throw misuse(error.message);
    throw error instanceof DevError ? new ExitError(error.code, error.message) : error;
  }
  return DONE;
}

/** @param {string | undefined} text @param {number} usual @param {string} option */
function port(text, usual, option) {
  const number = text === undefined ? usual : Number(text || NaN);
  if (!(Number.isInteger(number) && number >= 1 && number <= 65_535)) throw misuse(`${option} takes a port, from 1 to 65535.`);
  return number;
}

/** @param {Record<string, any>} values */
async function local(values) {
  const { DevError, PORTS, dev } = await import("./dev.mjs");
  const [rpc, hub, wallet] = [port(values["rpc-port"], PORTS.rpc, "--rpc-port"), port(values["hub-port"], PORTS.hub, "--hub-port"), port(values["wallet-port"], PORTS.wallet, "--wallet-port")];
  if (new Set([rpc, hub, wallet]).size < 3) throw misuse("Chain, hub and wallet page need three ports.");
  try {
    await dev({ reset: values.reset === true, rpc, hub, wallet, program: values["hub-program"] });
  } catch (/** @type {any} */ error) {
    throw error instanceof DevError ? new ExitError(error.code, error.message) : error;
  }
  return DONE;
}

/** @param {string[]} words */
async function main([command, ...args]) {
  if (command === undefined || command === "help" || command === "--help" || command === "-h") {
    process.stdout.write(HELP);
    return command === undefined ? MISUSED : DONE;
  }
  if (!Object.hasOwn(OPTIONS, command)) throw misuse(`There is no command ${JSON.stringify(command)}.`);
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(HELP);
    return DONE;
  }
  if (command === "paywall" && args.shift() !== "report") throw misuse("There is `farthing paywall report`.");
  const { values, positionals } = options(/** @type {keyof typeof OPTIONS} */ (command), args);
  if (command === "dev") return local(values);
  if (command === "wallet") return page(positionals, values);
  if (command === "paywall") return income(values);
  if (command === "exit") return exit(values);
  describe(open(values.check));
  console.log("The kit is sound: every proof, signature, lock and transaction in it fits.");
  return DONE;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (/** @type {any} */ error) {
  const code = error instanceof ExitError ? error.code : "internal";
  console.error(`farthing: ${code}: ${error.message}`);
  process.exitCode = MISUSES.has(code) ? MISUSED : FAILED;
}
