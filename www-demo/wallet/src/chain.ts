// What the reader's account holds on chain, to say how much can be deposited. What counts is read by the engine.

import type { Address, Wallet } from "farthing";

const ETH = /^0x0{40}$/;
const BALANCE_OF = "0x70a08231";
const PATIENCE = 10_000;

export async function onChain(node: { rpc?: string; wallet: Wallet }, account: Address, token: Address): Promise<bigint> {
  const [method, params] = ETH.test(token)
    ? ["eth_getBalance", [account, "latest"]]
    : ["eth_call", [{ to: token, data: `${BALANCE_OF}${account.slice(2).toLowerCase().padStart(64, "0")}` }, "latest"]];
  const answer = await ask(node, method as string, params as unknown[]);
  if (typeof answer !== "string" || !/^0x[0-9a-f]+$/i.test(answer)) throw new Error("The node does not tell what the account holds.");
  return BigInt(answer);
}

async function ask({ rpc, wallet }: { rpc?: string; wallet: Wallet }, method: string, params: unknown[]): Promise<unknown> {
  if (rpc === undefined && "request" in wallet) return wallet.request({ method, params });
  if (rpc === undefined) throw new Error("There is no node to ask.");
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const response = await fetch(rpc, { method: "POST", headers: { "content-type": "application/json" }, body, signal: AbortSignal.timeout(PATIENCE) });
  const { result } = await response.json();
  return result;
}
