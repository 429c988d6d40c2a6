// Another chain: the wallet's user is asked to switch (EIP-3326), and to add what the wallet does not know (EIP-3085).
// @ts-check

/** @import { ChainDetails } from "./index.js" */
/** @import { Provider } from "./internal.js" */

import { fault } from "../faults.mjs";

/** Milliseconds that the engine waits for a wallet's user. A question that is older is lost, as with an extension that was restarted. */
const PERSON = 600_000;

/** A wallet does not know the chain, by EIP-3326 or as wallets wrap it. @param {any} error @param {number} [depth] @returns {boolean} */
function isUnknown(error, depth = 4) {
  if (typeof error !== "object" || error === null || depth === 0) return false;
  if (Number(error.code) === 4902) return true;
  return [error.data, error.cause, error.error, error.info, error.originalError].some((inner) => isUnknown(inner, depth - 1));
}

/** @param {any} error */
const isRefusal = (error) => Number(error?.code) === 4001 || error?.code === "ACTION_REJECTED";

/** The chain's id as wallets take it. @param {unknown} chain */
function hexId(chain) {
  const id = typeof chain === "object" && chain !== null ? /** @type {any} */ (chain).id : chain;
  const isId = typeof id === "bigint" ? id > 0n : Number.isSafeInteger(id) && Number(id) > 0;
  if (!isId) throw fault("invalid-argument", "switchChain(): the chain must be its id, a whole number from 1 on, or { id, … }. Nothing was asked.");
  return `0x${BigInt(/** @type {number | bigint} */ (id)).toString(16)}`;
}

/** Details as viem writes them, or as EIP-3085 does. @param {any} details */
export function checkedDetails(details) {
  const urls = details.rpcUrls;
  const rpcUrls = Array.isArray(urls) ? urls : urls?.default?.http;
  const chainName = details.chainName ?? details.name;
  const coin = details.nativeCurrency;
  const explorer = details.blockExplorers?.default?.url;
  const pages = details.blockExplorerUrls ?? (explorer === undefined ? undefined : [explorer]);
  const isUrls = (/** @type {unknown} */ list) => Array.isArray(list) && list.length > 0 && list.every((url) => typeof url === "string" && /^https?:\/\//.test(url));
  const isCoin = typeof coin?.name === "string" && typeof coin.symbol === "string" && Number.isInteger(coin.decimals);
  if (typeof chainName !== "string" || !isUrls(rpcUrls) || !isCoin || (pages !== undefined && !isUrls(pages))) {
    throw fault(
      "invalid-argument",
      "switchChain: must be true, or what EIP-3085 adds a chain with: chainName, rpcUrls, nativeCurrency: { name, symbol, decimals }, and blockExplorerUrls if there are. Nothing was asked.",
    );
  }
  const { name, symbol, decimals } = coin;
  return { chainName, rpcUrls: [...rpcUrls], nativeCurrency: { name, symbol, decimals }, ...(pages && { blockExplorerUrls: [...pages] }) };
}

/** Asks; what comes back says nothing of where the wallet is. @param {Provider} provider @param {string} chainId @param {object | undefined} details */
async function ask(provider, chainId, details) {
  const params = [{ chainId }];
  try {
    await provider.request({ method: "wallet_switchEthereumChain", params });
    return;
  } catch (error) {
    if (details === undefined || !isUnknown(error)) throw error;
  }
  await provider.request({ method: "wallet_addEthereumChain", params: [{ chainId, ...details }] });
  // Some switch when they add, and some add only.
  if (BigInt(await provider.request({ method: "eth_chainId", params: [] })) === BigInt(chainId)) return;
  await provider.request({ method: "wallet_switchEthereumChain", params });
}

/**
 * Asks a wallet's user for another chain, and adds it where the wallet does not know it and `chain` has what it takes.
 * @param {Provider} provider @param {number | bigint | ({ id: number } & Partial<ChainDetails>)} chain
 */
export async function switchChain(provider, chain) {
  if (typeof provider?.request !== "function") throw fault("invalid-argument", "switchChain() takes an EIP-1193 provider. Nothing was asked.");
  const chainId = hexId(chain);
  const details = typeof chain === "object" && Object.keys(chain).length > 1 ? checkedDetails(chain) : undefined;
  const current = async () => BigInt(await provider.request({ method: "eth_chainId", params: [] }));
  try {
    if ((await current()) === BigInt(chainId)) return;
    await ask(provider, chainId, details);
    if ((await current()) === BigInt(chainId)) return;
  } catch (error) {
    const said = String(/** @type {any} */ (error)?.message ?? error).replace(/\.$/, "");
    if (isRefusal(error)) throw fault("wallet-rejected", `The wallet's user refused another chain: ${said}. No money moved.`, error);
    if (isUnknown(error)) throw fault("chain-mismatch", `The wallet does not know chain ${BigInt(chainId)}: ${said}. Give switchChain() its details, so that it can be added. No money moved.`, error);
    throw fault("wallet-unavailable", `The wallet did not switch to chain ${BigInt(chainId)}: ${said}. No money moved.`, error);
  }
  throw fault("chain-mismatch", `The wallet said yes and is not on chain ${BigInt(chainId)}. No money moved.`);
}

/** @param {unknown} id @param {string} chainId */
function sameId(id, chainId) {
  try {
    return BigInt(/** @type {string} */ (id)) === BigInt(chainId);
  } catch {
    return false;
  }
}

/**
 * The same provider, which the engine may let ask for its channel's chain.
 * @param {Provider} provider @param {unknown} wish @returns {Provider}
 */
export function withSwitch(provider, wish) {
  const details = wish === true ? undefined : checkedDetails(wish ?? {});
  // As viem names it, and as EIP-3085 does: `0x` and hex.
  const id = /** @type {any} */ (wish).id ?? /** @type {any} */ (wish).chainId;
  /** Details of another chain are not the hub's. @param {string} chainId */
  const fitting = (chainId) => (id === undefined || sameId(id, chainId) ? details : undefined);
  /** @type {Promise<void> | undefined} */
  let asking;
  let since = 0;
  /** @type {Provider} */
  const made = {
    request: (call) => provider.request(call),
    // Two questions of one kind wallets answer with an error.
    _switchTo(chainId) {
      if (asking !== undefined && Date.now() - since < PERSON) return asking;
      since = Date.now();
      const mine = ask(provider, chainId, fitting(chainId)).finally(() => {
        if (asking === mine) asking = undefined;
      });
      return (asking = mine);
    },
  };
  if (provider.account !== undefined) made.account = provider.account;
  for (const name of /** @type {const} */ (["on", "removeListener", "off"])) {
    const own = provider[name];
    if (typeof own === "function") made[name] = (/** @type {unknown[]} */ ...told) => own.apply(provider, told);
  }
  return made;
}
