// What a whole exit costs on a node: every transaction of a client that leaves, with its base cost and calldata.

import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

/** Gas of the exit of a payee whose hub dies before it has redeemed so many payments. */
export async function exitGas(locks) {
  const world = await createWorld();
  const { connect } = await farthing();
  const clients = [];
  let pending;
  const proven = new Promise((resolve) => (pending = resolve));
  const join = async (options) => {
    const { privateKey } = await world.account();
    const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, store: "memory", pollInterval: 100, ...options });
    clients.push(client);
    await client.deposit({ asset: "ETH", amount: parseEther("1") });
    return client;
  };
  // The kit names each payment that only the chain can make the hub pay.
  const onExitKit = async (kit) => {
    if (JSON.parse(kit).transactions.flatMap(({ items = [] }) => items).length === locks) pending();
  };
  const Native = globalThis.WebSocket;
  globalThis.WebSocket = class extends Native {
    send(data) {
      // An answer that says of a lock that it is paid never arrives.
      if (!data.includes('"reveal"')) super.send(data);
    }
  };
  try {
    const payee = await join({ onExitKit });
    globalThis.WebSocket = Native;
    const payer = await join({});
    await payer.pay({ to: world.hub.owner, asset: "ETH", amount: 1n });
    for (let count = 0; count < locks; count += 1) {
      payer.pay({ to: payee.info.address, asset: "ETH", amount: parseEther("0.001") }).catch(() => {});
    }
    if (locks === 0) await payee.pay({ to: world.hub.owner, asset: "ETH", amount: 1n });
    else await proven;
    await world.hub.stop("SIGKILL");
    const from = await world.chain.reader.getBlockNumber();
    await payee.exit({
      onProgress({ endsAt }) {
        if (endsAt) world.chain.passTo(endsAt / 1_000 + 1);
      },
    });
    return await spent(world.chain.reader, payee.info.address, from);
  } finally {
    globalThis.WebSocket = Native;
    await Promise.all(clients.map((client) => client.disconnect()));
    await world.stop();
  }
}

/** Gas that an account used in the blocks after `from`. */
async function spent(reader, account, from) {
  let gas = 0n;
  const last = await reader.getBlockNumber();
  for (let number = from + 1n; number <= last; number += 1n) {
    const { transactions } = await reader.getBlock({ blockNumber: number, includeTransactions: true });
    const ours = transactions.filter((transaction) => transaction.from.toLowerCase() === account.toLowerCase());
    for (const { hash } of ours) gas += (await reader.getTransactionReceipt({ hash })).gasUsed;
  }
  return Number(gas);
}
