// Drives an exit: asks the engine what to do, sends it, waits, and asks again. It keeps no state, so it can be stopped
// and started at any point.

import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import "../exit/engine.js";
import { glue, isStarted, startSync } from "../core.mjs";

export const engine = globalThis.farthingExit;
export const { ExitError } = engine;

/** How long a transaction is waited for, in milliseconds. */
const PATIENCE = 15 * 60_000;

/** While the other side may still show something, everything is looked at again after so long, in milliseconds. */
const LOOK = 60_000;

/** How long an RPC may take to answer, in milliseconds, and how often it is asked. */
const ANSWER = 20_000;
const ATTEMPTS = 4;

const ERRORS = [
  "AssetNotOpen(address,uint8)", "NoExit()", "ExitRunning(uint64)", "NotParticipant(address)", "ChallengePeriodOver(uint64)",
  "ChallengePeriodRunning(uint64)", "NotAcknowledged(address,uint8,uint64)", "WrongSignature(address)", "EvidenceLate(uint64)",
  "NotSettled(address)", "LockNotFound(uint16)", "NothingToClaim()",
];

function wasm() {
  if (!isStarted()) startSync(new WebAssembly.Module(readFileSync(new URL("../core_bg.wasm", import.meta.url))));
  return glue;
}

/** Refuses a kit whose signatures are not those of the channel's participants. */
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

/** The sender of a private key from a file or a text. What it is made of is never part of a message. */
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

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new ExitError("bad-key", `The key file can't be read: ${error.code}`);
  }
}

/** JSON-RPC over HTTP; what fails on the way is tried again. */
export function rpc(url) {
  let id = 0;
  const once = async (method, params) => {
    id += 1;
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body, signal: AbortSignal.timeout(ANSWER) });
    return response.json();
  };
  return async (method, params) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answer = await once(method, params);
        if (answer.error === undefined) return answer.result;
        // Of several nodes behind one URL, one may lag behind the others.
        if (/header not found|unknown block/i.test(answer.error.message)) throw new Error(answer.error.message);
        throw new ExitError("rpc-refused", `${method}: ${reason(answer.error)}`);
      } catch (error) {
        if (error instanceof ExitError || attempt === ATTEMPTS) {
          throw error instanceof ExitError ? error : new ExitError("rpc-failed", `The RPC does not answer: ${error.cause?.code ?? error.message}`, error);
        }
        await pause(attempt * 1_000);
      }
    }
  };
}

function reason({ message = "refused", data }) {
  const name = typeof data === "string" ? ERRORS.find((error) => data.startsWith(engine.selector(error))) : undefined;
  return name ? `the contract says ${name.replace(/\(.*/, "")}` : String(message);
}

const hex = (value) => `0x${BigInt(value).toString(16)}`;
const date = (seconds) => new Date(seconds * 1_000).toISOString().replace(".000Z", "Z");

/** Sends one call and waits until it is in a block; gives its receipt. */
async function send(ask, kit, sender, { to, data }, submitted) {
  const gas = BigInt(await ask("eth_estimateGas", [{ from: sender.account, to, data }]));
  const { baseFeePerGas } = await ask("eth_getBlockByNumber", ["latest", false]);
  if (!baseFeePerGas) throw new ExitError("unsupported", "This chain has no EIP-1559 fees; send what --print-only prints with a wallet.");
  const tip = await ask("eth_maxPriorityFeePerGas", []).then(BigInt, () => 1_000_000_000n);
  const nonce = await ask("eth_getTransactionCount", [sender.account, "pending"]);
  const fields = [kit.chainId, nonce, tip, 2n * BigInt(baseFeePerGas) + tip, gas + gas / 4n].map(hex);
  const hash = await ask("eth_sendRawTransaction", [sender.sign([...fields, to, data])]);
  submitted(hash);
  for (const end = Date.now() + PATIENCE; Date.now() < end; await pause(500)) {
    const receipt = await ask("eth_getTransactionReceipt", [hash]);
    if (receipt?.blockNumber == null) continue;
    if (BigInt(receipt.status) !== 1n) throw new ExitError("transaction-failed", `Transaction ${hash} reverted.`);
    return receipt;
  }
  throw new ExitError("transaction-failed", `Transaction ${hash} is not in a block yet. Run this again later; it goes on from what the chain shows.`);
}

/** Waits until the chain's clock has passed a time, or it is time to look at everything again. */
async function passed(ask, until, poll) {
  for (const end = Date.now() + LOOK; Date.now() < end; await pause(poll)) {
    const block = await ask("eth_getBlockByNumber", ["latest", false]);
    if (Number(block.timestamp) > until) return;
  }
}

export const leave = {
  async look(ask, kit) {
    return engine.next(kit, await engine.look(ask, kit));
  },

  /** Gives `"done"`, `"later"` or `"incomplete"`. */
  async drive({ ask, kit, sender, confirm, say, poll, patient }) {
    const warned = new Set();
    let agreed = false;
    let waiting;
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
      warnings.forEach((warning) => warned.add(warning));
      const mine = [kit.owner, kit.signer].some((account) => account.toLowerCase() === sender.account.toLowerCase());
      if (!mine && ["start", "challenge"].includes(stage)) {
        throw new ExitError("not-participant", `The key is ${sender.account}'s; an exit is started by ${kit.owner} or ${kit.signer}.`);
      }
      if (actions.length > 0) {
        if (!agreed) say(`channel ${kit.channelId}, contract ${kit.contract}, account ${sender.account}`);
        agreed ||= await confirm();
        if (!agreed) return "later";
        const [action] = actions;
        const about = [action.asset && `asset ${action.asset}`, action.worth !== undefined && `${action.worth} base units`].filter(Boolean).join(", ");
        say(`${action.call}: ${action.title}${about ? ` (${about})` : ""}`);
        const receipt = await send(ask, kit, sender, action, (hash) => say(`  sent ${hash}`));
        sent += 1;
        reached = Number(receipt.blockNumber);
        say(`  in block ${BigInt(receipt.blockNumber)}, ${BigInt(receipt.gasUsed)} gas`);
      } else if (wait === undefined) {
        say(stage === "nothing" ? "The channel holds nothing: there is nothing to leave with." : `Done: nothing of yours is left to take out (${sent} transactions sent).`);
        return incomplete ? "incomplete" : "done";
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
