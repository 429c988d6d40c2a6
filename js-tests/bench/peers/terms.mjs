// What x402's side of the benchmark sells for.

export const NETWORK = "eip155:31337";
export const TOKEN = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
export const PRICE = "1000";
/** The token's EIP-712 domain; the deposit is a signed authorization. */
export const EXTRA = { name: "USD Coin", version: "2", assetTransferMethod: "eip3009" };
