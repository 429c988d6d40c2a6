// A test double of an injected wallet: an EIP-1193 provider that signs for real with a key of its own, asks nobody,
// and writes down what it was asked. Runs in Node and in a page.

import { createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";

export function rejection(message = "User rejected the request.") {
  return Object.assign(new Error(message), { code: 4001 });
}

/** An emitter, with as much of Node's as providers have. */
function emitter() {
  const listeners = [];
  return {
    listeners,
    on: (event, listener) => void listeners.push([event, listener]),
    removeListener(event, listener) {
      const at = listeners.findIndex(([name, known]) => name === event && known === listener);
      if (at >= 0) listeners.splice(at, 1);
    },
    emit: (event, ...told) => listeners.filter(([name]) => name === event).forEach(([, listener]) => listener(...told)),
  };
}

/** `refuse` maps methods to errors that they reject with, `throwNow` to errors that they throw synchronously, `answer` to
 * functions that answer in its place. `node` may be set to another node's URL; what was sent is in `sent`. */
export function createWallet({ privateKey, rpcUrl, refuse = {}, throwNow = {}, answer = {} }) {
  const account = privateKeyToAccount(privateKey);
  const client = createWalletClient({ account, chain: foundry, transport: http(rpcUrl) });
  const asked = [];
  const sent = [];
  const events = emitter();
  let id = 0;

  const own = {
    eth_requestAccounts: async () => [account.address],
    eth_accounts: async () => [account.address],
    eth_signTypedData_v4: async ([address, json]) => {
      if (address.toLowerCase() !== account.address.toLowerCase()) throw Object.assign(new Error("unknown account"), { code: 4100 });
      const { domain, types, primaryType, message } = JSON.parse(json);
      const { EIP712Domain: _, ...rest } = types;
      return account.signTypedData({ domain, types: rest, primaryType, message });
    },
    // A node over HTTP has no way to push.
    eth_subscribe: () => Promise.reject(Object.assign(new Error("not served"), { code: 4200 })),
    eth_sendTransaction: async ([transaction]) => {
      sent.push(transaction);
      const { to, value, data } = transaction;
      return client.sendTransaction({ to, data, value: value === undefined ? 0n : BigInt(value) });
    },
  };

  const forward = async (method, params) => {
    id += 1;
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    const response = await fetch(wallet.node, { method: "POST", headers: { "content-type": "application/json" }, body });
    const { result, error } = await response.json();
    if (error) throw Object.assign(new Error(error.message), { code: error.code, data: error.data });
    return result;
  };

  const wallet = {
    address: account.address,
    node: rpcUrl,
    own,
    sent,
    answer,
    ...events,
    asked,
    refuse,
    throwNow,
    request({ method, params = [] }) {
      asked.push(method);
      if (throwNow[method]) throw throwNow[method];
      if (refuse[method]) return Promise.reject(refuse[method]);
      if (wallet.answer[method]) return wallet.answer[method](params);
      return own[method] ? own[method](params) : forward(method, params);
    },
  };
  return wallet;
}
