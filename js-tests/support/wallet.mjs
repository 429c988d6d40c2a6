// A test double of an injected wallet: an EIP-1193 provider that signs for real with a key of its own, asks nobody,
// and writes down what it was asked. Runs in Node and in a page.

import { createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";

export function rejection(message = "User rejected the request.") {
  return Object.assign(new Error(message), { code: 4001 });
}

/** `refuse` maps methods to errors that they reject with, `throwNow` to errors that they throw synchronously. */
export function createWallet({ privateKey, rpcUrl, refuse = {}, throwNow = {} }) {
  const account = privateKeyToAccount(privateKey);
  const client = createWalletClient({ account, chain: foundry, transport: http(rpcUrl) });
  const asked = [];
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
    eth_sendTransaction: async ([{ to, value, data }]) =>
      client.sendTransaction({ to, data, value: value === undefined ? 0n : BigInt(value) }),
  };

  const forward = async (method, params) => {
    id += 1;
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    const response = await fetch(rpcUrl, { method: "POST", headers: { "content-type": "application/json" }, body });
    const { result, error } = await response.json();
    if (error) throw Object.assign(new Error(error.message), { code: error.code, data: error.data });
    return result;
  };

  return {
    address: account.address,
    asked,
    refuse,
    throwNow,
    request({ method, params = [] }) {
      asked.push(method);
      if (throwNow[method]) throw throwNow[method];
      if (refuse[method]) return Promise.reject(refuse[method]);
      return own[method] ? own[method](params) : forward(method, params);
    },
  };
}
