// Until nothing is in flight. A payment is told when it has ended; that it is settled as well, no event tells.

import assert from "node:assert/strict";

/** The balance of an asset, once no payment is on its way. */
export async function settled(client, asset = "ETH", patience = 10_000) {
  for (const end = Date.now() + patience; ; ) {
    const found = (await client.balances()).find((balance) => balance.asset === asset);
    if (found.sending === 0n && found.receiving === 0n) return found;
    assert.ok(Date.now() < end, "payments do not settle");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
