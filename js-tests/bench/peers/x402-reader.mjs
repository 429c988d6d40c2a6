// A reader with x402's stock fetch. It deposits once, more than it will spend, since its defaults would deposit every dozen requests.

import { BatchSettlementEvmScheme } from "@x402/evm/batch-settlement/client";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { NETWORK } from "./terms.mjs";

/** A `fetch` that pays from a channel of its own, kept in memory unless there is a `storage`. */
export function reader({ deposit = 10n ** 12n, storage, key = generatePrivateKey() } = {}) {
  const scheme = new BatchSettlementEvmScheme(privateKeyToAccount(key), { depositStrategy: () => deposit, ...(storage && { storage }) });
  const client = new x402Client().register(NETWORK, scheme);
  client.setSpendControls(false);
  return wrapFetchWithPayment((input, init) => fetch(input, init), client);
}
