// What a page may use to find a wallet, let its user choose one, and bring it to a chain. `connect()` needs none of it.
// @ts-check

export { discoverWallets } from "./discover.mjs";
export { pickWallet } from "./picker.mjs";
export { switchChain } from "./chain.mjs";
