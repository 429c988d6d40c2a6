// The chain under x402's facilitator: no node, but its escrow's books in memory, which answer at once. A deposit is booked by
// the channel's own id and never above what its payer has; claims, settlement and withdrawals are not needed to sell.

import { computeChannelId } from "@x402/evm/batch-settlement/client";
import { decodeFunctionData, encodeFunctionResult, parseAbi } from "viem";

const VIEWS = parseAbi([
  "function channels(bytes32 channelId) view returns (uint128 balance, uint128 totalClaimed)",
  "function pendingWithdrawals(bytes32 channelId) view returns (uint128 amount, uint40 initiatedAt)",
  "function refundNonce(bytes32 channelId) view returns (uint256)",
  "function balanceOf(address owner) view returns (uint256)",
]);

/** A `FacilitatorEvmSigner` over such books: everybody begins with `each`. `deposits()` counts. */
export function escrow({ address, network, each = 10n ** 15n }) {
  const channels = new Map();
  const spent = new Map();
  let deposits = 0;
  const left = (payer) => each - (spent.get(payer.toLowerCase()) ?? 0n);
  const views = {
    channels: ([id]) => [channels.get(id.toLowerCase()) ?? 0n, 0n],
    pendingWithdrawals: () => [0n, 0],
    refundNonce: () => 0n,
    balanceOf: ([owner]) => left(owner),
    deposit([{ payer }, amount]) {
      if (amount > left(payer)) throw new Error("the payer does not have so much");
    },
  };
  const read = (name, args) => {
    if (!Object.hasOwn(views, name)) throw new Error(`${name} is not known here`);
    return views[name](args);
  };
  return {
    deposits: () => deposits,
    getAddresses: () => [address],
    getCode: async () => undefined,
    async readContract({ functionName, args }) {
      if (functionName !== "tryAggregate") return read(functionName, args);
      return args[1].map(({ callData }) => {
        const { functionName: name, args: inner } = decodeFunctionData({ abi: VIEWS, data: callData });
        return { success: true, returnData: encodeFunctionResult({ abi: VIEWS, functionName: name, result: read(name, inner) }) };
      });
    },
    async writeContract({ functionName, args }) {
      if (functionName !== "deposit") throw new Error(`${functionName} is not known here`);
      views.deposit(args);
      const [config, amount] = args;
      const id = computeChannelId(config, network).toLowerCase();
      channels.set(id, (channels.get(id) ?? 0n) + amount);
      spent.set(config.payer.toLowerCase(), each - left(config.payer) + amount);
      deposits += 1;
      return `0x${deposits.toString(16).padStart(64, "0")}`;
    },
    waitForTransactionReceipt: async () => ({ status: "success", logs: [] }),
  };
}
