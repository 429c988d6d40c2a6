/** What the files of this folder hand to each other. For the compiler; nothing is loaded from here. */

import type { Hex } from "../index.js";

/** A question to a node. */
export type Ask = (method: string, params: unknown[]) => Promise<any>;

/** What the engine takes for a wallet. */
export interface Provider {
  request(call: { method: string; params?: any }): Promise<any>;
  /** The one that counts, of those that it shows. */
  account?: unknown;
  on?(...told: any[]): unknown;
  removeListener?(...told: any[]): unknown;
  off?(...told: any[]): unknown;
  /** Asks its user for a chain, named by its id in hex. The engine calls it where the wallet is on another one. */
  _switchTo?(chainId: string): Promise<void>;
}

/** In place of the options `wallet` and `rpc`. */
export interface Accepted {
  wallet: any;
  rpc: string | readonly string[] | undefined;
}

/** A transaction as the engine asks a wallet for it. */
export interface Sent {
  chainId: string;
  from: string;
  to: string;
  value: string;
  data: Hex;
}

/** An account of viem that signs by itself. */
export interface SigningAccount {
  address: string;
  signTypedData(data: object): Promise<string>;
  signTransaction(transaction: object): Promise<string>;
}
