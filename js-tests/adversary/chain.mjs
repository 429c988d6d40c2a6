// What anybody can do to a channel on chain, sent by whoever is named.

import { createWalletClient, http, keccak256 } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { artifact } from "../support/env.mjs";
import { closingStruct, conditionKey, tree } from "./signing.mjs";

export const ETH = "0x0000000000000000000000000000000000000000";

/** The contract, called by the account of a key. A call that reverts rejects; one that is sent is mined. */
export function contractOf(world, privateKey) {
  const { abi } = artifact("Farthing");
  const account = privateKeyToAccount(privateKey);
  const wallet = createWalletClient({ account, chain: foundry, transport: http(world.rpcUrl) });
  const { reader, mined } = world.chain;
  const read = (functionName, args) => reader.readContract({ address: world.contract, abi, functionName, args });
  async function send(functionName, args, value) {
    const receipt = await mined(await wallet.writeContract({ address: world.contract, abi, functionName, args, value }));
    if (receipt.status !== "success") throw new Error(`${functionName} reverted`);
    return receipt;
  }
  return {
    account,
    read,
    open: (channel, amount) => send("open", [channel, ETH, amount], amount),
    deposit: (channel, side, amount) => send("deposit", [channel, side, ETH, amount], amount),
    startExit: (channel, proofs) => send("startExit", [channel, proofs, 0, "0x", 0n]),
    submitProofs: (channel, proofs) => send("submitProofs", [channel, proofs]),
    recordEvidence: ({ condition, expiry }, evidence) => send("recordEvidence", [condition.address, condition.params, BigInt(expiry), evidence]),
    settle: (channel, asset = ETH) => send("settle", [channel, asset]),
    withdraw: (channel, channelId, withdrawal, a, b, owner = "0x") =>
      send("withdraw", [channel, { channelId, ...withdrawal, side: withdrawal.side === "A" ? 0 : 1 }, a, b, owner]),
    close: (channel, channelId, closing, a, b) => send("close", [channel, { channelId, ...closingStruct(closing) }, a, b]),
    /** Claims a lock by the tree that it stands in. */
    claimLock(channel, payer, locks, slot, asset = ETH) {
      const { condition, expiry, key, n, unitPrice, redeemed } = locks.get(slot);
      const lock = { key, n, unitPrice, redeemed };
      const claim = { slot, lock, condition: condition.address, paramsHash: keccak256(condition.params), expiry: BigInt(expiry), siblings: tree(locks, slot).siblings };
      return send("claimLock", [channel, asset, payer, claim]);
    },
    units: ({ condition, expiry }) => read("unitsOf", [conditionKey(condition, expiry)]),
    lane: (channelId, payer, asset = ETH) => read("laneState", [channelId, asset, payer]),
    exitEndsAt: (channelId) => read("exitEndsAt", [channelId]),
    assetState: (channelId, asset = ETH) => read("assetState", [channelId, asset]),
    net: (channelId, asset = ETH) => read("netOf", [channelId, asset]),
  };
}

/** What each account of a world has paid for gas, block by block as they are asked for. */
const paid = new WeakMap();

/** What an account would have had its transactions cost nothing, at one block: both are read of the same. */
export async function beforeGas(world, address) {
  const { reader } = world.chain;
  const last = await reader.getBlockNumber({ cacheTime: 0 });
  if (!paid.has(world)) paid.set(world, []);
  const blocks = paid.get(world);
  while (blocks.length <= last) blocks.push(gasOf(reader, BigInt(blocks.length)));
  const sums = (await Promise.all(blocks.slice(0, Number(last) + 1))).map((block) => block.get(address.toLowerCase()) ?? 0n);
  return sums.reduce((sum, gas) => sum + gas, await reader.getBalance({ address, blockNumber: last }));
}

async function gasOf(reader, blockNumber) {
  const { transactions } = await reader.getBlock({ blockNumber });
  const sums = new Map();
  for (const hash of transactions) {
    const { from, gasUsed, effectiveGasPrice } = await reader.getTransactionReceipt({ hash });
    sums.set(from.toLowerCase(), (sums.get(from.toLowerCase()) ?? 0n) + gasUsed * effectiveGasPrice);
  }
  return sums;
}

/** Waits for the block after the newest. */
export const nextBlock = ({ reader }) =>
  new Promise((resolve, reject) => {
    let first;
    const stop = reader.watchBlockNumber({
      emitOnBegin: true,
      onBlockNumber(number) {
        first ??= number;
        if (number === first) return;
        stop();
        resolve(number);
      },
      onError: (error) => (stop(), reject(error)),
    });
  });

/** Asks again with every block until it holds; gives up after many. */
export async function until(chain, what, holds, blocks = 40) {
  for (let left = blocks; ; left -= 1) {
    const found = await holds();
    if (found) return found;
    if (left === 0) throw new Error(`after ${blocks} blocks there is still no ${what}`);
    await nextBlock(chain);
  }
}
