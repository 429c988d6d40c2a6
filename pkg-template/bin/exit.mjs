// Drives an exit: asks the engine what to do, sends it, waits, and asks again. It keeps no state, so it can be stopped
// and started at any point.
// @ts-check

/** @import { Action, Ask, Driven, Kit, Sender } from "../internal.js" */

import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import "../exit/engine.js";
import { glue, isStarted, startSync } from "../core.mjs";
import { submit } from "./rpc.mjs";

/** What `exit/engine.js` gives, which a page loads as a script: without types. @type {any} */
export const engine = /** @type {any} */ (globalThis).farthingExit;
export const { ExitError } = engine;

/** How long a transaction is waited for, in milliseconds. */
const PATIENCE = 15 * 60_000;

/** While the other side may still show something, everything is looked at again after so long, in milliseconds. */
const LOOK = 60_000;

/** How long other transactions of the account are waited for before one of ours, in milliseconds. */
const OTHERS = 180_000;

/** Blocks above one that count as proof that it stays, and chains of developers, on which each does. */
const CONFIRMATIONS = 12;
const DEVELOPMENT = [31337, 1337];

/** Blocks in which a transaction is not before its fees are raised, and how often that is done at most, or for nodes that
 * want more than what they hold already. */
const BLOCKS = 5;
const RAISES = 12;
const TOO_LOW = /underpriced|fee too low|replacement/i;

function wasm() {
  if (!isStarted()) startSync(new WebAssembly.Module(readFileSync(new URL("../core_bg.wasm", import.meta.url))));
  return glue;
}

/** Refuses a kit whose signatures are not those of the channel's participants. @param {Kit} kit */
export function verify(kit) {
  for (const [what, digest, signature, signer] of engine.signaturesOf(kit)) {
    let found;
    try {
      found = wasm()._signerOf(engine.bytesOf(digest), engine.bytesOf(signature));
    } catch {
      found = "nobody";
    }
    if (found.toLowerCase() !== signer.toLowerCase()) throw new ExitError("bad-kit", `This is no sound exit kit: the ${what} is not signed by ${signer}.`);
  }
}

/** The account of a private key, 0x and 64 hex digits. @param {string} privateKey @returns {string} */
export const accountOf = (privateKey) => wasm()._accountOf(engine.bytesOf(privateKey));

/** The sender of a private key from a file or a text. What it is made of is never part of a message. @param {string | undefined} file @param {string | undefined} text @returns {Sender} */
export function key(file, text) {
  const from = file === undefined ? text : read(file);
  if (from === undefined) throw new ExitError("bad-key", "There is no key: give --key-file or FARTHING_KEY, or use --print-only.");
  if (!/^(0x)?[0-9a-fA-F]{64}$/.test(from.trim())) throw new ExitError("bad-key", "The key must be 0x and 64 hex digits.");
  const bytes = engine.bytesOf(`0x${from.trim().replace(/^0x/, "")}`);
  try {
    return { account: wasm()._accountOf(bytes), sign: (fields) => wasm()._signTransaction(bytes, fields) };
  } catch {
    throw new ExitError("bad-key", "The key is not one of this curve.");
  }
}

/** @param {string} file */
function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (/** @type {any} */ error) {
    throw new ExitError("bad-key", `The key file can't be read: ${error.code}`);
  }
}

/** @param {any} value */
const hex = (value) => `0x${BigInt(value).toString(16)}`;
/** @param {number} seconds */
const date = (seconds) => new Date(seconds * 1_000).toISOString().replace(".000Z", "Z");

/**
 * Waits for what the account has sent before, perhaps this program in an earlier run: the same once more would be paid
 * for and revert. Gives whether it was mined meanwhile; what nobody mines keeps nobody from leaving: it is replaced.
 * @param {Ask} ask @param {string} account
 */
async function settled(ask, account) {
  const count = async (/** @type {string} */ tag) => BigInt(await ask("eth_getTransactionCount", [account, tag]));
  for (let [waited, end] = [false, Date.now() + OTHERS]; ; waited = true, await pause(1_000)) {
    const [mined, all] = [await count("latest"), await count("pending")];
    if (all <= mined) return waited;
    if (Date.now() > end) return false;
  }
}

/**
 * Sends one call and waits until it is in a block; gives its receipt. While blocks come without it, its fees are raised:
 * what nobody mines at one price is mined at another, and the other side's time runs.
 * @param {Ask} ask @param {Kit} kit @param {Sender} sender @param {Action} action @param {(hash: string) => void} submitted
 */
async function send(ask, kit, sender, { to, data }, submitted) {
  const gas = BigInt(await ask("eth_estimateGas", [{ from: sender.account, to, data }]));
  // Behind a transaction that nobody mines ours would wait, too.
  const nonce = await ask("eth_getTransactionCount", [sender.account, "latest"]);
  const tipOf = () => ask("eth_maxPriorityFeePerGas", []).then(BigInt, () => 1_000_000_000n);
  const more = (/** @type {bigint} */ fee) => fee + fee / 4n + 1n;
  /** @type {string[]} */
  const hashes = [];
  let [tip, most, raises, at] = [0n, 0n, 0, 0];

  /** Signs it with fees of this block, and above all that it had before, and brings it to a node. */
  async function bring() {
    for (; ; raises += 1) {
      const { baseFeePerGas, number } = await ask("eth_getBlockByNumber", ["latest", false]);
      if (!baseFeePerGas) throw new ExitError("unsupported", "This chain has no EIP-1559 fees; send what --print-only prints with a wallet.");
      const wanted = await tipOf();
      tip = most === 0n || wanted > more(tip) ? wanted : more(tip);
      const fee = 2n * BigInt(baseFeePerGas) + tip;
      most = most === 0n || fee > more(most) ? fee : more(most);
      at = Number(number);
      const raw = sender.sign([...[kit.chainId, nonce, tip, most, gas + gas / 4n].map(hex), to, data]);
      const hash = engine.keccak256(raw);
      try {
        await submit(ask, raw, hash);
        hashes.push(hash);
        submitted(hash);
        return;
      } catch (/** @type {any} */ error) {
        // Another one has this place, and the node wants more for it; or ours is mined by now, and its receipt tells.
        if (hashes.length > 0 && error.code === "rpc-refused" && !TOO_LOW.test(error.message)) return;
        if (error.code !== "rpc-refused" || !TOO_LOW.test(error.message) || raises >= RAISES) throw error;
      }
    }
  }

  await bring();
  let wait = 250;
  for (const end = Date.now() + PATIENCE; Date.now() < end; await pause(wait), wait = Math.min(wait * 2, 4_000)) {
    for (const hash of hashes) {
      const receipt = await ask("eth_getTransactionReceipt", [hash]);
      if (receipt?.blockNumber == null || receipt.status == null) continue;
      if (BigInt(receipt.status) !== 1n) throw new ExitError("transaction-failed", `Transaction ${hash} reverted.`);
      return receipt;
    }
    const { number } = await ask("eth_getBlockByNumber", ["latest", false]);
    if (Number(number) >= at + BLOCKS && raises < RAISES) {
      raises += 1;
      await bring();
    }
  }
  throw new ExitError("transaction-pending", `Transaction ${hashes.at(-1)} is not in a block yet. Run this again later; it goes on from what the chain shows.`);
}

/** Waits until the chain's clock has passed a time, or it is time to look at everything again. @param {Ask} ask @param {number} until @param {number} poll */
async function passed(ask, until, poll) {
  for (const end = Date.now() + LOOK; Date.now() < end; await pause(poll)) {
    const block = await ask("eth_getBlockByNumber", ["latest", false]);
    if (Number(block.timestamp) > until) return;
  }
}

/**
 * Whether nothing was left to do at a block already. @param {Ask} ask @param {Kit} kit @param {number} number
 */
async function wasOver(ask, kit, number) {
  if (number < 0) return false;
  try {
    const { actions, wait } = engine.next(kit, await engine.look(ask, kit, hex(number)));
    return actions.length === 0 && wait === undefined;
  } catch (/** @type {any} */ error) {
    // The contract was not there yet, so the channel was not over.
    if (error.code === "wrong-chain") return false;
    throw error;
  }
}

/**
 * Fetches what could not be paid out. Who refuses it still keeps nobody from the rest: that is said, and stays for another
 * time or another recipient. Gives whether somebody agreed to all, how many were sent, and the block of the last one.
 * @param {Pick<Driven, "ask" | "kit" | "sender" | "say" | "confirm" | "recipient">} driven
 * @param {Set<string>} refused assets whose credit was refused in this run
 * @returns {Promise<{ agreed: boolean, reached: number | undefined, count: number }>}
 */
async function collect({ ask, kit, sender, say, confirm, recipient }, refused) {
  const redirects = recipient !== undefined && recipient.toLowerCase() !== kit.owner.toLowerCase();
  if (redirects && sender.account.toLowerCase() !== kit.owner.toLowerCase()) {
    throw new ExitError("not-participant", `The key is ${sender.account}'s; only the owner, ${kit.owner}, sends a credit to another account.`);
  }
  /** @type {number | undefined} */
  let reached;
  let count = 0;
  for (const credit of await engine.credits(ask, kit)) {
    if (refused.has(credit.asset)) continue;
    const salt = engine.hexOf(crypto.getRandomValues(new Uint8Array(32)));
    const action = engine.creditCall(kit, credit, recipient, salt);
    if (!(await confirm())) return { agreed: false, reached, count };
    await settled(ask, sender.account);
    say(`${action.call}: ${action.title} (asset ${credit.asset}, ${credit.amount} base units)`);
    try {
      const receipt = await send(ask, kit, sender, action, (hash) => say(`  sent ${hash}`));
      reached = Number(receipt.blockNumber);
      count += 1;
      say(`  in block ${BigInt(receipt.blockNumber)}, ${BigInt(receipt.gasUsed)} gas`);
    } catch (/** @type {any} */ error) {
      if (!["rpc-refused", "transaction-failed"].includes(error.code)) throw error;
      refused.add(credit.asset);
      say(`warning: ${credit.amount} base units of ${credit.asset} stay in the contract in the name of ${kit.owner}: ${error.message}`);
      say("  another account may take it: add --credit-to ADDRESS, with the owner's key");
    }
  }
  return { agreed: true, reached, count };
}

export const leave = {
  /** @param {Ask} ask @param {Kit} kit */
  async look(ask, kit) {
    return engine.next(kit, await engine.look(ask, kit));
  },

  /** @param {Driven} driven @returns {Promise<"done" | "later" | "incomplete">} */
  async drive({ ask, kit, sender, confirm, say, poll, patient, recipient, confirmations }) {
    const depth = confirmations ?? (DEVELOPMENT.includes(kit.chainId) ? 0 : CONFIRMATIONS);
    const warned = new Set();
    /** @type {Set<string>} */
    const refusedCredits = new Set();
    let told = false;
    let agreed = false;
    let waiting;
    /** @type {string | undefined} */
    let refused;
    let sent = 0;
    let reached = 0;
    for (;;) {
      const chain = await engine.look(ask, kit);
      if (chain.number < reached) {
        await pause(poll);
        continue;
      }
      const { stage, actions, wait, warnings, locks, incomplete } = engine.next(kit, chain);
      for (const warning of warnings) if (!warned.has(warning)) say(`warning: ${warning}`);
      warnings.forEach((/** @type {string} */ warning) => warned.add(warning));
      const mine = [kit.owner, kit.signer].some((account) => account.toLowerCase() === sender.account.toLowerCase());
      if (!mine && ["start", "challenge"].includes(stage)) {
        throw new ExitError("not-participant", `The key is ${sender.account}'s; an exit is started by ${kit.owner} or ${kit.signer}.`);
      }
      if (actions.length > 0) {
        if (!agreed) say(`channel ${kit.channelId}, contract ${kit.contract}, account ${sender.account}`);
        agreed ||= await confirm();
        if (!agreed) return "later";
        if (await settled(ask, sender.account)) continue;
        const [action] = actions;
        const about = [action.asset && `asset ${action.asset}`, action.worth !== undefined && `${action.worth} base units`].filter(Boolean).join(", ");
        say(`${action.call}: ${action.title}${about ? ` (${about})` : ""}`);
        const receipt = await send(ask, kit, sender, action, (hash) => say(`  sent ${hash}`)).catch((error) => {
          // Anybody may settle and claim, and the other side answers: what was refused may be done already.
          if (!["rpc-refused", "transaction-failed"].includes(error.code) || refused === action.data) throw error;
          refused = action.data;
          say(`  ${error.message}; looking at the chain again`);
        });
        if (receipt === undefined) {
          await pause(poll);
          continue;
        }
        sent += 1;
        reached = Number(receipt.blockNumber);
        say(`  in block ${BigInt(receipt.blockNumber)}, ${BigInt(receipt.gasUsed)} gas`);
      } else if (wait === undefined) {
        // Of what is in the newest blocks each may be taken back, and what is gone then is sent again.
        const stays = reached === 0 ? depth === 0 || (await wasOver(ask, kit, chain.number - depth)) : chain.number >= reached + depth;
        if (!stays) {
          if (!told) say(`nothing is left to do at block ${chain.number}; waiting for ${depth} more, since the newest may be taken back`);
          if (!told && patient) say("  this may be stopped and started again at any time");
          told = true;
          if (!patient) return "later";
          await pause(poll);
          continue;
        }
        const askOnce = async () => (agreed ||= await confirm());
        const collected = await collect({ ask, kit, sender, say, confirm: askOnce, recipient }, refusedCredits);
        if (!collected.agreed) return "later";
        if (collected.reached !== undefined) {
          [reached, told] = [collected.reached, false];
          sent += collected.count;
          continue;
        }
        say(stage === "nothing" ? "The channel holds nothing: there is nothing to leave with." : `Done: nothing of yours is left to take out (${sent} transactions sent).`);
        return incomplete ? "incomplete" : refusedCredits.size === 0 ? "done" : "later";
      } else {
        if (waiting !== wait.until) {
          say(`waiting until ${date(wait.until)} (${wait.until}) for ${wait.why}${locks ? `; locks that still hold money of yours: ${locks}` : ""}`);
          say("  this may be stopped and started again at any time");
        }
        waiting = wait.until;
        if (!patient) return "later";
        await passed(ask, wait.until, poll);
      }
    }
  },
};
