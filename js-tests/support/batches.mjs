// What a wallet needs to take batches (EIP-5792): a double that carries them out for real, as one transaction that calls on the
// account's behalf, or, if it lies, one after the other.

import { createWalletClient, createPublicClient, http, numberToHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";

export const refusal = (code, message = `refused with ${code}`) => Object.assign(new Error(message), { code });

/**
 * Gives a wallet of `createWallet` batches. `status` is what its capabilities say; `before(batch)` may throw; `only` carries out
 * so many calls of a batch; `told(status, id)` changes what it says of one. `batches` has all that it was asked for.
 */
export function withBatches(wallet, { privateKey, rpcUrl, chainId = 31337, status = "supported", ...wishes }) {
  const account = privateKeyToAccount(privateKey);
  const client = createWalletClient({ account, chain: foundry, transport: http(rpcUrl) });
  const reader = createPublicClient({ chain: foundry, transport: http(rpcUrl), pollingInterval: 50 });
  const batches = [];
  const done = new Map();
  const own = {
    wallet_getCapabilities: async () => ({ [numberToHex(chainId)]: { atomic: { status } } }),
    wallet_sendCalls: async ([batch]) => {
      batches.push(batch);
      wallet.batching.before?.(batch);
      const receipts = [];
      for (const { to, value, data } of batch.calls.slice(0, wallet.batching.only)) {
        const hash = await client.sendTransaction({ to, data, value: BigInt(value), gas: 500_000n });
        receipts.push(await reader.waitForTransactionReceipt({ hash }));
      }
      const id = wallet.batching.id?.(batch) ?? batch.id;
      const fine = receipts.every(({ status }) => status === "success");
      done.set(id, { version: "2.0.0", id, chainId: batch.chainId, atomic: true, status: fine ? 200 : 500, receipts });
      return wallet.batching.answer?.(id) ?? { id };
    },
    wallet_getCallsStatus: async ([id]) => {
      if (wallet.batching.told) return wallet.batching.told(done.get(id), id);
      if (!done.has(id)) throw refusal(5730);
      return JSON.parse(JSON.stringify(done.get(id), (_, value) => (typeof value === "bigint" ? numberToHex(value) : value)));
    },
  };
  wallet.batching = wishes;
  Object.assign(wallet.own, own);
  return Object.assign(wallet, { batches });
}
