// A contract wallet's provider: the account is a contract of several keys (contracts/test/tokens/Safe.sol), which sign for
// real; a transaction is sent by somebody else, so what it gives for a hash is none that a node knows.

import { concat, createWalletClient, encodeFunctionData, hashTypedData, http, keccak256, toHex } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { artifact } from "./env.mjs";

const SENDER = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

/**
 * Deploys one of `keys` keys, `threshold` of which sign. `provider` is its EIP-1193 provider, `execute(to, value, data)` sends
 * at once, after `retire()` it stands by nothing that it signed, `asked` are the methods that it was asked for.
 */
export async function createSafe(world, { keys = 3, threshold = 2 } = {}) {
  const { reader, deploy, mined } = world.chain;
  const owners = Array.from({ length: keys }, () => privateKeyToAccount(generatePrivateKey()))
    .sort((one, other) => (one.address.toLowerCase() < other.address.toLowerCase() ? -1 : 1));
  const address = await deploy("Safe", [owners.map(({ address }) => address), BigInt(threshold)]);
  const { abi } = artifact("Safe");
  const account = privateKeyToAccount(SENDER);
  const sender = createWalletClient({ account, chain: foundry, transport: http(world.rpcUrl) });
  const read = (functionName, args) => reader.readContract({ address, abi, functionName, args });
  const signatures = async (hash) => concat(await Promise.all(owners.slice(0, threshold).map((owner) => owner.sign({ hash }))));
  let turn = Promise.resolve();

  const execute = (to, value = 0n, data = "0x") => {
    const sent = turn.then(async () => {
      const hash = await read("transactionHash", [to, value, data, await read("nonce", [])]);
      const receipt = await mined(await sender.writeContract({ address, abi, functionName: "execTransaction", args: [to, value, data, await signatures(hash)] }));
      if (receipt.status !== "success") throw new Error("the wallet's transaction reverted");
      return keccak256(concat([hash, toHex("shown in the wallet")]));
    });
    turn = sent.catch(() => {});
    return sent;
  };

  const sign = async (json) => {
    const { domain, types, primaryType, message } = JSON.parse(json);
    const { EIP712Domain: _, ...rest } = types;
    return signatures(await read("messageHash", [hashTypedData({ domain, types: rest, primaryType, message })]));
  };

  const asked = [];
  const own = {
    eth_requestAccounts: async () => [address],
    eth_accounts: async () => [address],
    eth_signTypedData_v4: ([, json]) => sign(json),
    eth_sendTransaction: ([{ to, value, data }]) => execute(to, BigInt(value ?? 0), data),
    eth_subscribe: () => Promise.reject(Object.assign(new Error("not served"), { code: 4200 })),
  };
  const request = ({ method, params = [] }) => {
    asked.push(method);
    return own[method] ? own[method](params) : reader.request({ method, params });
  };
  const retire = () => execute(address, 0n, encodeFunctionData({ abi, functionName: "retire" }));
  return { address, provider: { request }, own, asked, execute, read, retire };
}
