// An account that signs in this process and shows no key, as viem's: a provider that fills in, signs and sends by a node.
// @ts-check

/** @import { Ask, Provider, Sent, SigningAccount } from "./internal.js" */

/** How long a node may take, in milliseconds. */
const NODE = 15_000;

/** What a transaction may need more than its estimate, in percent: the contract's state changes meanwhile. */
const MARGIN = 20n;
/** And in gas: a storage slot that others have emptied by then (EIP-2200). */
const SLOT = 20_000n;

/** The highest tip, and price where there are no tips, whatever a node says, in wei per gas, as of the engine's own keys: a node that lies must not turn a balance into fees. */
const MOST = 10n ** 12n;
/** The tip where a node names none. */
const USUAL = 10n ** 9n;

/** Asks the first node that answers. @param {string | readonly string[]} rpc @returns {Ask} */
export function overHttp(rpc) {
  const urls = typeof rpc === "string" ? [rpc] : rpc;
  let id = 0;
  return async (method, params) => {
    /** @type {unknown} */
    let silent;
    for (const url of urls) {
      let answer;
      try {
        const body = JSON.stringify({ jsonrpc: "2.0", id: (id += 1), method, params });
        const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body, signal: AbortSignal.timeout(NODE) });
        answer = await response.json();
      } catch (error) {
        silent = error;
        continue;
      }
      const { result, error } = answer ?? {};
      if (error) throw Object.assign(new Error(String(error.message)), { code: error.code, data: error.data });
      if (result !== undefined) return result;
      silent = new Error("no answer");
    }
    // Its URL may have a key in it.
    throw Object.assign(new Error(`${method}: no node at rpc answers.`), { code: 4900, cause: silent });
  };
}

/** @param {SigningAccount} account @param {Ask} ask @returns {Provider} */
export function keyed(account, ask) {
  /** Transactions take their numbers one after the other. @type {Promise<unknown>} */
  let last = Promise.resolve();
  return {
    async request({ method, params = [] }) {
      switch (method) {
        case "eth_requestAccounts":
        case "eth_accounts":
          return [account.address];
        case "eth_signTypedData_v4": {
          const { domain, types, primaryType, message } = JSON.parse(params[1]);
          const { EIP712Domain: _, ...own } = types;
          return account.signTypedData({ domain, types: own, primaryType, message });
        }
        case "eth_sendTransaction": {
          const sent = last.then(() => send(account, ask, params[0]));
          last = sent.catch(() => undefined);
          return sent;
        }
        default:
          return ask(method, params);
      }
    },
  };
}

/** @param {SigningAccount} account @param {Ask} ask @param {Sent} call @param {number} [again] The number of one that was refused for its type: at most one of the two is mined. @returns {Promise<string>} */
async function send(account, ask, call, again) {
  let signed, nonce;
  try {
    const transaction = await filled(account.address, ask, call, again);
    nonce = transaction.nonce;
    signed = await account.signTransaction(transaction);
  } catch (error) {
    if (again === undefined && nonce !== undefined && isOfType(error)) return send(account, ask, call, nonce);
    throw Object.assign(new Error(said(error), { cause: error }), { code: /** @type {any} */ (error)?.code, _unsent: true });
  }
  try {
    return await ask("eth_sendRawTransaction", [signed]);
  } catch (error) {
    // Refused for its type, it is on no node.
    if (again === undefined && isOfType(error)) return send(account, ask, call, nonce);
    throw error;
  }
}

/** A device or a node that takes no transaction with a type (EIP-2718) says so in many words; a person's no is none of them. @param {any} error */
function isOfType(error) {
  const text = said(error).toLowerCase();
  const isNo = error?.code === 4001 || /reject|denied|cancel/.test(text);
  return !isNo && /transaction type|type.{0,12}transaction|eip-?1559|tx type|legacy transactions? only|only legacy/.test(text);
}

/** @param {any} error */
const said = (error) => String(error?.message ?? error);

/** @param {string | bigint} fee */
function capped(fee) {
  const wei = BigInt(fee);
  return wei < MOST ? wei : MOST;
}

/** @param {string} estimate */
export const withMargin = (estimate) => (BigInt(estimate) * (100n + MARGIN)) / 100n + SLOT;

/** @param {string} from @param {Ask} ask @param {Sent} call @param {number | undefined} again */
async function filled(from, ask, { chainId, to, value, data }, again) {
  const [estimate, nonce, block] = await Promise.all([
    ask("eth_estimateGas", [{ from, to, value, data }]),
    ask("eth_getTransactionCount", [from, "pending"]),
    ask("eth_getBlockByNumber", ["latest", false]),
  ]);
  const common = { chainId: Number(chainId), to, value: BigInt(value), data, nonce: again ?? Number(nonce), gas: withMargin(estimate) };
  if (again !== undefined || block?.baseFeePerGas === undefined) return { ...common, type: "legacy", gasPrice: capped(await ask("eth_gasPrice", [])) };
  const tip = capped(await ask("eth_maxPriorityFeePerGas", []).catch(() => USUAL));
  // The base fee rises by an eighth a block at most: enough for six full ones.
  return { ...common, type: "eip1559", maxPriorityFeePerGas: tip, maxFeePerGas: BigInt(block.baseFeePerGas) * 2n + tip };
}
