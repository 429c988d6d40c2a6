/**
 * Finding a wallet, choosing one, and bringing it to a chain. For pages; loads nothing of the engine.
 *
 * @example
 * ```ts
 * import { connect } from "farthing";
 * import { pickWallet } from "farthing/wallets";
 *
 * const { provider } = await pickWallet();
 * const client = await connect({ hub: "https://hub.example", wallet: provider, switchChain: true });
 * ```
 *
 * @packageDocumentation
 */

import type { ChainDetails, Eip1193Provider } from "../index.js";

export type { ChainDetails, Eip1193Provider } from "../index.js";

/** A wallet that showed itself. Name, domain and icon are what it says of itself: anybody can say the same. */
export interface DiscoveredWallet {
  /** Of this visit; another one at the next. To remember a choice, keep `rdns`. */
  readonly uuid: string;
  /** On one line, at most 40 characters, without what turns text around. */
  readonly name: string;
  /** Its domain read backwards, such as `org.example.wallet`. */
  readonly rdns?: string;
  /** A `data:` URI of a picture, for an `img` and nothing else. */
  readonly icon?: string;
  readonly provider: Eip1193Provider;
  /** It is `window.ethereum`, which announced nothing. */
  readonly legacy: boolean;
}

/** Options of {@link discoverWallets}. */
export interface DiscoverOptions {
  /** Where wallets announce themselves. Default: the window. */
  target?: any;
  /** What `window.ethereum` is called. */
  legacyName?: string;
}

/** Wallets as they come. */
export interface Discovery {
  /** Those that are there now, in the order in which they came; `window.ethereum` is the last. */
  readonly wallets: readonly DiscoveredWallet[];
  /** Hears of each change; gives what ends that. */
  onChange(listener: (wallets: readonly DiscoveredWallet[]) => void): () => void;
  /** Listens no more. */
  stop(): void;
}

/** Looks for wallets by [EIP-6963](https://eips.ethereum.org/EIPS/eip-6963), and goes on until `stop()`. Asks none of them for anything. */
export function discoverWallets(options?: DiscoverOptions): Discovery;

/** What the picker says. */
export interface PickerTexts {
  title: string;
  cancel: string;
  /** Where there is no wallet. */
  none: string;
  found(count: number): string;
  legacyName: string;
}

/** Options of {@link pickWallet}. */
export interface PickerOptions {
  /** Closes it (`aborted`). */
  signal?: AbortSignal;
  /** Default: as the reader's system. */
  theme?: "auto" | "light" | "dark";
  /** In another language. */
  texts?: Partial<PickerTexts>;
  /** Wallets that are looked for already. */
  discovery?: Discovery;
}

/** Lets the reader choose, in a dialog. Rejects with `wallet-rejected` if they choose none. */
export function pickWallet(options?: PickerOptions): Promise<DiscoveredWallet>;

/**
 * Asks a wallet's user for another chain ([EIP-3326](https://eips.ethereum.org/EIPS/eip-3326)), and to add it
 * ([EIP-3085](https://eips.ethereum.org/EIPS/eip-3085)) where the wallet does not know it and the details are given, as viem's
 * chains have them or as the EIP does. Does nothing if it is there; resolves when it is. Otherwise `wallet-rejected`,
 * `chain-mismatch` or `wallet-unavailable`, and it can be called again.
 */
export function switchChain(provider: Eip1193Provider, chain: number | bigint | ({ readonly id: number } & ChainDetails)): Promise<void>;
