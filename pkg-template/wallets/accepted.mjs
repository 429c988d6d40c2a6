// Wallets as libraries have them, made into what the engine takes: an EIP-1193 provider or a key. Told apart by what they can
// do, never by their names. Nothing is asked and nothing is signed here; what can't work is refused before anything is.
// @ts-check

/** @import { Accepted, Ask, Provider } from "./internal.js" */

import { fault } from "../faults.mjs";
import { ethersProvider, ethersSigner, nodeOf, unwrapped } from "./ethers.mjs";
import { withSwitch } from "./chain.mjs";
import { keyed, overHttp } from "./local.mjs";

/** @param {any} object @param {...string} names */
const can = (object, ...names) => names.every((name) => typeof object?.[name] === "function");

const invalid = (/** @type {string} */ message) => fault("invalid-argument", `connect(): ${message} Nothing was asked, and no money moved.`);
const unable = (/** @type {string} */ message) => fault("unsupported", `connect(): ${message} Nothing was asked, and no money moved.`);

/**
 * What takes the place of the options of the same name.
 * @param {any} wallet @param {string | readonly string[] | undefined} rpc @param {unknown} switchChain @returns {Promise<Accepted>}
 */
export async function accepted(wallet, rpc, switchChain) {
  const taken = await ofLibrary(wallet, rpc);
  if (switchChain === undefined || switchChain === false || !can(taken.wallet, "request")) return taken;
  return { ...taken, wallet: withSwitch(taken.wallet, switchChain) };
}

/** @param {any} wallet @param {string | readonly string[] | undefined} rpc @returns {Promise<Accepted>} */
async function ofLibrary(wallet, rpc) {
  const node = rpc === undefined ? undefined : overHttp(rpc);
  if (can(wallet, "request")) return { wallet: ofClient(wallet), rpc };
  if (can(wallet, "getProvider")) return { wallet: await ofConnector(wallet), rpc };
  // A BrowserProvider of ethers, and any other of its providers that passes questions on.
  if (can(wallet, "send", "getSigner")) return { wallet: ethersProvider(wallet), rpc };
  if (can(wallet, "getAddress", "sendTransaction")) return ofSigner(wallet, rpc, node);
  if (can(wallet, "signTransaction") || wallet?.type === "json-rpc" || wallet?.type === "smart") {
    return { wallet: ofAccount(wallet, node, "rpc must be given with an account: it has no node of its own."), rpc };
  }
  // The engine says what a wallet must be.
  return { wallet, rpc };
}

/** A client of viem whose account signs by itself; any other is a provider as it is. @param {any} client @returns {Provider} */
function ofClient(client) {
  const { account } = client;
  if (typeof account !== "object" || account === null || account.type === undefined || account.type === "json-rpc") return client;
  return ofAccount(account, (method, params) => client.request({ method, params }), "");
}

/** An account of viem. @param {any} account @param {Ask | undefined} ask @param {string} missing @returns {Provider} */
function ofAccount(account, ask, missing) {
  if (account.type === "json-rpc") throw invalid("wallet is an account whose key a wallet holds: give that wallet's provider, or a client over it.");
  if (account.type === "smart") throw unable("wallet is an account that a contract runs, whose signature is not a key's. Give { privateKey } or a wallet whose account is a key's.");
  if (!can(account, "signTypedData")) throw unable("wallet is an account that signs no typed data (EIP-712), which a channel is opened with.");
  if (!can(account, "signTransaction")) throw unable("wallet is an account that signs no transactions, which a deposit is.");
  if (ask === undefined) throw invalid(missing);
  return keyed(account, ask);
}

/** A connector of wagmi, connected or not. @param {any} connector @returns {Promise<Provider>} */
async function ofConnector(connector) {
  let provider;
  try {
    provider = await connector.getProvider();
  } catch (error) {
    throw fault("wallet-unavailable", "connect(): the connector gave no provider. Nothing was asked, and no money moved.", unwrapped(error));
  }
  if (!can(provider, "request")) {
    throw fault("wallet-unavailable", "connect(): the connector has no provider, as without its extension or app. Nothing was asked, and no money moved.");
  }
  return provider;
}

/** A signer of ethers. @param {any} signer @param {string | readonly string[] | undefined} rpc @param {Ask | undefined} node @returns {Accepted} */
function ofSigner(signer, rpc, node) {
  if (typeof signer.privateKey === "string") {
    // What it is with and without `rpc` must be the same, so that it opens the same channel.
    return { wallet: { privateKey: signer.privateKey }, rpc: rpc ?? nodeOf(signer) };
  }
  if (!can(signer, "signTypedData")) throw unable("wallet is a signer without signTypedData() (EIP-712), which a channel is opened with. Of ethers, version 6 is taken.");
  const provider = signer.provider;
  if (can(provider, "send") && typeof signer.address === "string" && can(signer, "sendUncheckedTransaction")) {
    return { wallet: ethersProvider(provider, signer.address), rpc };
  }
  const ask = can(provider, "send") ? ethersProvider(provider).request : undefined;
  const asked = node ?? (ask && ((/** @type {string} */ method, /** @type {unknown[]} */ params) => ask({ method, params })));
  if (!can(provider, "getNetwork")) throw invalid("wallet is a signer without a provider, so it can send nothing: connect() it to one.");
  if (asked === undefined) throw invalid("rpc must be given with this signer: its provider passes no questions on.");
  return { wallet: ethersSigner(signer, asked), rpc };
}
