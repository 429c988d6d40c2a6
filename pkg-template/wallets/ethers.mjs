// Providers and signers of ethers, version 6, as EIP-1193 providers. They wrap what a wallet answers: its own number is taken out
// again, since that says what happened.
// @ts-check

/** @import { Ask, Provider, Sent } from "./internal.js" */

import { withMargin } from "./local.mjs";

/** The error that a wallet gave, where a library wrapped it. @param {any} error */
export function unwrapped(error) {
  for (const inner of [error?.info?.error, error?.error, error?.error?.error]) {
    if (typeof inner?.code === "number") return Object.assign(new Error(String(inner.message ?? error.message)), { code: inner.code, data: inner.data });
  }
  if (error?.code === "UNSUPPORTED_OPERATION") return Object.assign(new Error(String(error.shortMessage ?? error.message)), { code: 4200 });
  return error;
}

/** @param {() => Promise<any>} work */
async function told(work) {
  try {
    return await work();
  } catch (error) {
    throw unwrapped(error);
  }
}

/** `account` is the one that a signer of it was made for. @param {any} provider @param {string} [account] @returns {Provider} */
export function ethersProvider(provider, account) {
  /** @type {Provider} */
  const made = { request: ({ method, params = [] }) => told(() => provider.send(method, params)) };
  if (account !== undefined) made.account = account;
  return made;
}

/** A signer that signs and sends by itself, beside a node that is asked the rest. @param {any} signer @param {Ask} ask @returns {Provider} */
export function ethersSigner(signer, ask) {
  return {
    async request({ method, params = [] }) {
      switch (method) {
        case "eth_requestAccounts":
        case "eth_accounts":
          // It may have changed, as that of a hardware wallet.
          return [await told(() => signer.getAddress())];
        case "eth_signTypedData_v4": {
          const { domain, types, message } = JSON.parse(params[1]);
          const { EIP712Domain: _, ...own } = types;
          return told(() => signer.signTypedData(domain, own, message));
        }
        case "eth_sendTransaction": {
          const { from, to, value, data, chainId } = /** @type {Sent} */ (params[0]);
          // By itself it sends with exactly what an estimate says, and what others do before it is mined may need more.
          const estimate = await Promise.resolve(ask("eth_estimateGas", [{ from, to, value, data }])).catch(() => undefined);
          const gasLimit = typeof estimate === "string" ? withMargin(estimate) : undefined;
          const sent = await told(() => signer.sendTransaction({ from, to, value, data, chainId, ...(gasLimit && { gasLimit }) }));
          return sent.hash;
        }
        default:
          return ask(method, params);
      }
    },
  };
}

/** The URL of the node that a wallet with a key of its own was connected to. @param {any} signer */
export function nodeOf(signer) {
  try {
    const { url } = signer.provider._getConnection();
    return typeof url === "string" ? url : undefined;
  } catch {
    return undefined;
  }
}
