// Reads everything back from the chain and adds it up to the wei.

import { zeroAddress } from "viem";

/** What each of `holders` has, of ETH and DAI. */
export async function snapshot(world, holders) {
  const rows = await Promise.all(
    Object.entries(holders).map(async ([name, address]) => {
      const [eth, dai] = await Promise.all([world.balanceOf(address, "ETH"), world.balanceOf(address, "DAI")]);
      return [name, { ETH: eth, DAI: dai }];
    }),
  );
  return Object.fromEntries(rows);
}

/** What each account paid for gas in the blocks after `from`. */
export async function gasPaid(world, accounts, from) {
  const { reader } = world.chain;
  const paid = new Map(accounts.map((address) => [address.toLowerCase(), 0n]));
  const last = await reader.getBlockNumber();
  let transactions = 0;
  for (let number = from + 1n; number <= last; number += 1n) {
    const block = await reader.getBlock({ blockNumber: number });
    for (const hash of block.transactions) {
      const receipt = await reader.getTransactionReceipt({ hash });
      const sender = receipt.from.toLowerCase();
      transactions += 1;
      if (paid.has(sender)) paid.set(sender, paid.get(sender) + receipt.gasUsed * receipt.effectiveGasPrice);
    }
  }
  return { of: (address) => paid.get(address.toLowerCase()) ?? 0n, transactions };
}

/** The contract's own account of an asset of a channel. */
export function assetState(world, abi, channelId, asset) {
  const token = asset === "ETH" ? zeroAddress : world.dai;
  return world.chain.reader.readContract({ address: world.contract, abi, functionName: "assetState", args: [channelId, token] });
}
