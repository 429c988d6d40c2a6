// What the program asks of EVM nodes. A question that fails for a reason that may pass is asked again, of another node
// where there is one, until an end; only what a node says of the question itself is an answer.

// @ts-check

/** @import { Ask, Node } from "../internal.js" */

import { setTimeout as pause } from "node:timers/promises";
import "../exit/engine.js";

const { ExitError, selector } = /** @type {any} */ (globalThis).farthingExit;

/** How long one answer may take, and how long one question is asked, in milliseconds. */
const ANSWER = 20_000;
const PATIENCE = 60_000;

/** How often a question is asked at least; and at most while no node was ever reached: the URL is probably wrong. */
const ATTEMPTS = 4;

/** How long two nodes may disagree, and how long a second one is called that can't be reached, in milliseconds. */
const AGREEMENT = 20_000;
const CALLING = 5_000;

/** The first and the longest pause between two tries, in milliseconds, before chance makes them differ. */
const PAUSES = [500, 8_000];

/** How long a node that did not answer is left out where two shall agree, in milliseconds. */
const DOWN = 300_000;

/** However long a node wants to be left alone, it is asked again after this, in milliseconds. */
const LONGEST_REST = 120_000;

const ERRORS = [
  "AssetNotOpen(address,uint8)", "NoExit()", "ExitRunning(uint64)", "NotParticipant(address)", "ChallengePeriodOver(uint64)",
  "ChallengePeriodRunning(uint64)", "NotAcknowledged(address,uint8,uint64)", "WrongSignature(address)", "EvidenceLate(uint64)",
  "NotSettled(address)", "LockNotFound(uint16)", "NothingToClaim()", "PushFailed(address,address,uint256)",
  "InsufficientCredit(address,address,uint256,uint256)", "InvalidRecipient()",
];

/** Nothing is there yet, and that is an answer. */
const NULLABLE = new Set(["eth_getTransactionReceipt", "eth_getTransactionByHash"]);

/** What two nodes must agree on, where there are two. Its block is named, so that they are asked the same. */
const AGREED = new Set(["eth_call", "eth_getCode"]);

// The EVM's words, and those of a transaction that no node takes; then those of what may be over in a moment.
const SAYS = /revert|insufficient (funds|balance)|exceeds balance|gas required exceeds|out of gas|invalid opcode|stack underflow/i;
const PASSES = /rate|too many|limit exceeded|exceeded|throttl|capacity|quota|compute unit|slow down|header not found|block not found|unknown block|missing trie|state (is )?not|historical state|unavailable|timeout|timed out|temporar|try again|internal|gateway|overload|busy|upstream|syncing|connection/i;
const KNOWN = /already ?known|known transaction|already imported|already in mempool/i;

/** Numbers of errors that pass: limits of several providers, and "internal error" with its relatives. */
const PASSING = new Set([429, -32005, -32016, -32029, -32046, -32097, -32098, -32603, -32002, -32001]);

/** A failure that says nothing of what was asked. */
class Trouble extends Error {
  /** @param {string} message @param {{ passes?: boolean, reached?: boolean, rest?: number | undefined }} [about] */
  constructor(message, { passes = true, reached = true, rest } = {}) {
    super(message);
    this.passes = passes;
    this.reached = reached;
    this.rest = rest;
  }
}

/** Scheme and host of a URL. Its path, its query and what is before an `@` may be secrets. @param {URL} url */
const origin = (url) => `${url.protocol}//${url.host}`;

/** What a node or a library says, without the keys in the URLs that it may repeat. @param {unknown} text */
const clean = (text) => String(text).replace(/\w+:\/\/\S+/g, (found) => (URL.canParse(found) ? origin(new URL(found)) : "a URL")).slice(0, 300);

/** @param {{ message?: string, data?: any }} error */
function reason({ message = "refused", data }) {
  const bytes = typeof data === "string" ? data : data?.data;
  const name = typeof bytes === "string" ? ERRORS.find((error) => bytes.startsWith(selector(error))) : undefined;
  return name ? `the contract says ${name.replace(/\(.*/, "")}` : clean(message);
}

/** `Retry-After`, in milliseconds: seconds, or a date. @param {string | null} header */
function restOf(header) {
  if (header === null) return undefined;
  const wanted = /^\d+$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(wanted) ? undefined : Math.min(Math.max(wanted, 0), LONGEST_REST);
}

/** One node: asks it once. @param {string} text @param {number} chainId @returns {Node} */
function node(text, chainId) {
  const url = new URL(text);
  /** @type {Record<string, string>} */
  const headers = { "content-type": "application/json" };
  if (url.username || url.password) {
    headers.authorization = `Basic ${btoa(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`)}`;
    url.username = url.password = "";
  }
  let id = 0;
  let checked = false;

  /** @param {string} method @param {unknown[]} params @returns {Promise<{ result?: any, error?: any, rest?: number | undefined }>} */
  async function exchange(method, params) {
    id += 1;
    let response, body;
    try {
      response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ jsonrpc: "2.0", id, method, params }), signal: AbortSignal.timeout(ANSWER) });
      body = await response.text();
    } catch (/** @type {any} */ error) {
      throw new Trouble(error.cause?.code ?? (error.name === "TimeoutError" ? "no answer" : "the connection failed"), { reached: false });
    }
    const rest = restOf(response.headers.get("retry-after"));
    let answer;
    try {
      answer = JSON.parse(body);
    } catch {
      // Said below.
    }
    const error = answer?.error;
    if (typeof error === "object" && error !== null && response.status !== 429) return { error, rest };
    if (!response.ok) throw new Trouble(`HTTP ${response.status}`, { passes: [408, 425, 429].includes(response.status) || response.status >= 500, rest });
    if (typeof answer !== "object" || answer === null || String(answer.id) !== String(id)) throw new Trouble("no JSON-RPC");
    return { result: answer.result };
  }

  /** @type {Ask} */
  async function ask(method, params) {
    if (!checked) {
      const { result } = await exchange("eth_chainId", []);
      if (!/^0x[0-9a-f]+$/i.test(result)) throw new Trouble("eth_chainId gave no number");
      if (Number(result) !== chainId) throw new ExitError("wrong-chain", `${origin(url)} is on chain ${Number(result)}, the channel on chain ${chainId}.`);
      checked = true;
    }
    const { result, error, rest } = await exchange(method, params);
    if (error !== undefined) {
      const said = `${error.message ?? ""}`;
      if (error.code === 3 || SAYS.test(said) || KNOWN.test(said)) throw new ExitError("rpc-refused", `${method}: ${reason(error)}`);
      throw new Trouble(`${method}: ${reason(error)}`, { passes: PASSING.has(error.code) || PASSES.test(said), rest });
    }
    if (result === undefined || (result === null && !NULLABLE.has(method))) throw new Trouble(`${method} gave nothing`);
    return result;
  }

  return { ask, name: origin(url), until: 0, down: 0 };
}

/** `(method, params) => result` of the nodes at these URLs, which must be on this chain. @param {string[]} urls @param {number} chainId @returns {Ask} */
export function rpc(urls, chainId) {
  const nodes = urls.map((url) => node(url, chainId));
  let reached = false;

  /** Who answers is asked first. @param {Node} each */
  const prefer = (each) => nodes.sort((a, b) => Number(b === each) - Number(a === each));

  /** The first answer of these nodes, and whose it is. @param {Node[]} of @param {string} method @param {unknown[]} params */
  async function first(of, method, params, calling = PATIENCE) {
    let [wait, longest] = PAUSES;
    const began = Date.now();
    for (let attempt = 1; ; attempt += 1) {
      /** @type {Trouble[]} */
      const troubles = [];
      for (const each of [...of]) {
        if (each.until > Date.now()) {
          troubles.push(new Trouble(`${each.name} wants to be left alone for a while`));
          continue;
        }
        try {
          const result = await each.ask(method, params);
          reached = true;
          prefer(each);
          return { result, each };
        } catch (/** @type {any} */ error) {
          if (!(error instanceof Trouble)) throw error;
          if (error.rest !== undefined) each.until = Date.now() + error.rest;
          error.message = `${each.name}: ${error.message}`;
          troubles.push(error);
        }
      }
      const message = troubles.map((trouble) => trouble.message).join("; ");
      if (!troubles.some(({ passes }) => passes)) throw new ExitError("rpc-refused", message);
      const rest = Math.min(...of.map(({ until }) => until)) - Date.now();
      const next = Math.max(wait * (0.5 + Math.random() / 2), rest);
      const spoke = troubles.some((trouble) => trouble.reached);
      reached ||= spoke;
      const over = Date.now() + next > began + (spoke ? PATIENCE : calling) + Math.max(rest, 0);
      // Not by the clock alone: who opens the lid again has asked once, hours ago.
      if (attempt >= ATTEMPTS && (over || !reached)) {
        throw Object.assign(new ExitError("rpc-failed", `The RPC does not answer: ${message}`), { spoke });
      }
      await pause(next);
      wait = Math.min(wait * 2, longest);
    }
  }

  /** An answer that two nodes give. One that can't be reached is left out; one that lags is waited for. @param {string} method @param {unknown[]} params */
  async function agreed(method, params) {
    for (const end = Date.now() + AGREEMENT; ; await pause(PAUSES[0])) {
      const one = await first(nodes, method, params);
      const others = nodes.filter((each) => each !== one.each && each.down < Date.now());
      if (others.length === 0) return one.result;
      const other = await first(others, method, params, CALLING).catch((/** @type {any} */ error) => {
        // One that speaks and does not answer has not agreed.
        if (error.code !== "rpc-failed" || error.spoke) throw error;
        others.forEach((each) => (each.down = Date.now() + DOWN));
      });
      prefer(one.each);
      if (other === undefined || String(other.result).toLowerCase() === String(one.result).toLowerCase()) return one.result;
      if (Date.now() > end) throw new ExitError("rpc-failed", `${one.each.name} and ${other.each.name} do not agree about ${method}, so neither is believed.`);
    }
  }

  return async (method, params) => (nodes.length > 1 && AGREED.has(method) ? agreed(method, params) : (await first(nodes, method, params)).result);
}

/** Brings a signed transaction to a node. An answer that is lost says nothing: the transaction is looked for. @param {Ask} ask @param {string} raw @param {string} hash */
export async function submit(ask, raw, hash) {
  try {
    await ask("eth_sendRawTransaction", [raw]);
  } catch (/** @type {any} */ error) {
    if (KNOWN.test(error.message)) return;
    if (!["rpc-refused", "rpc-failed"].includes(error.code)) throw error;
    const [there, mined] = [ask("eth_getTransactionByHash", [hash]), ask("eth_getTransactionReceipt", [hash])];
    const found = await Promise.allSettled([there, mined]);
    if (found.some((one) => one.status === "fulfilled" && one.value !== null)) return;
    const unknown = error.code === "rpc-failed" || found.some(({ status }) => status === "rejected");
    throw unknown
      ? new ExitError("rpc-failed", `Whether transaction ${hash} has arrived is not known, and it may still be mined. Run this again: it goes on from what the chain shows. ${error.message}`)
      : new ExitError(error.code, `${error.message}. It was not sent, and no money moved.`);
  }
}
