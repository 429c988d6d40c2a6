/** What goes over the chain: deposits, withdrawals, closing, exits, and the exit kit. */

import type { Address, Asset, Hex } from "./index.js";

/** Where a transaction stands. */
export interface Progress {
  /** `relay-refused`: the hub does not send it (`relay`), so your wallet is asked to. */
  readonly stage: "relay-refused" | "submitted" | "mined" | "waiting-for-blocks" | "confirmed";
  /** Absent if the hub sent it, but for a deposit. */
  readonly hash?: Hex;
  /** Of a deposit that the hub sends: what it takes of the amount, in base units. */
  readonly fee?: bigint;
}

/** Where an exit stands: `submitted`, `mined` and `confirmed` are of the transaction that starts it. */
export interface ExitProgress {
  readonly stage: "submitted" | "mined" | "waiting-for-blocks" | "confirmed" | "challenge" | "settled" | "claimed";
  /** Of the transaction that starts the exit. */
  readonly hash?: Hex;
  /** `challenge`: until then proofs are taken; `settled`: when the last open lock expires. Milliseconds since 1970. */
  readonly endsAt?: number;
  /** `settled`: locks that still hold money of yours. */
  readonly locks?: number;
}

/** Options of {@link Client.exit}. */
export interface ExitOptions {
  /** Stops waiting; the exit goes on. */
  signal?: AbortSignal;
  /** Milliseconds. Default: the challenge period, the longest lock of the hub, and a day. */
  timeout?: number;
  onProgress?: (progress: ExitProgress) => void;
}

/** Options of {@link Client.deposit}. */
export interface DepositOptions {
  asset: Asset;
  /** Base units; all that leaves the account, so a fee of the hub is a part of it. */
  amount: bigint;
  /**
   * Who sends the transaction: your account (`own`, the default), or the hub, for who has the token and no ETH. The hub takes
   * a fee of the amount, by what you sign. See `docs/deposits.md` for which tokens.
   */
  gas?: "own" | "hub";
  /** With `gas: "hub"`: the most that the hub may take, in base units. Default: what it took when you connected, or when you asked `depositFee()` last. */
  maxFee?: bigint;
  /** Stops waiting; a transaction that was sent goes on. */
  signal?: AbortSignal;
  /** Milliseconds. Default: an hour. */
  timeout?: number;
  onProgress?: (progress: Progress) => void;
}

/** Options of {@link Client.depositFee}. */
export interface DepositFeeOptions {
  asset: Asset;
  signal?: AbortSignal;
  /** Milliseconds. Default: a minute. */
  timeout?: number;
}

/** What it costs to have the hub send a deposit. */
export interface DepositFee {
  /** What the hub takes of the amount, in base units. */
  readonly fee: bigint;
  readonly token: Address;
  /** What you would sign: ERC-2612, DAI's own permit, ERC-3009, or Permit2 (which your account has to have allowed before). */
  readonly how: "permit" | "dai-permit" | "authorization" | "permit2";
}

/** Options of {@link Client.withdraw}. */
export interface WithdrawOptions {
  asset: Asset;
  /** Base units. */
  amount: bigint;
  /** Where to; by default the owner's account. */
  to?: Address;
  /** Let the hub send the transaction and pay its gas. If it won't, the wallet is asked; `onProgress` says so. */
  relay?: boolean;
  /** Stops waiting; a withdrawal that was signed goes on. */
  signal?: AbortSignal;
  /** Milliseconds. Default: an hour. */
  timeout?: number;
  onProgress?: (progress: Progress) => void;
}

/** Options of {@link Client.close}. */
export interface CloseOptions {
  /** By default all listed ones that have money in them, and those that you were paid or paid in. A closed asset can't be used in this channel again. */
  assets?: Asset[];
  /** Let the hub send the transaction and pay its gas. If it won't, the wallet is asked; `onProgress` says so. */
  relay?: boolean;
  /** Stops waiting; a closing that was signed goes on. */
  signal?: AbortSignal;
  /** Milliseconds. Default: an hour. */
  timeout?: number;
  onProgress?: (progress: Progress) => void;
}

/** Options of {@link Client.collectCredit}. */
export interface CollectCreditOptions {
  /** Also one that the hub does not list, by the token's address. */
  asset: Asset;
  /** Where to; by default the owner's account. The transaction is the owner's in any case. */
  to?: Address;
  /** Stops waiting; a transaction that was sent goes on. */
  signal?: AbortSignal;
  /** Milliseconds. Default: an hour. */
  timeout?: number;
  onProgress?: (progress: Progress) => void;
}

/** An exit kit, version 2. Amounts are decimal strings of base units, times Unix seconds. `docs/exit.md` of the repository explains it. */
export interface ExitKit {
  readonly format: "farthing-exit-kit";
  readonly version: 2;
  /** How to use it, in a paragraph. */
  readonly help: string;
  readonly chainId: number;
  readonly contract: Address;
  readonly channelId: Hex;
  readonly channel: {
    readonly a: { readonly owner: Address; readonly signer: Address };
    readonly b: { readonly owner: Address; readonly signer: Address };
    readonly challengePeriod: number;
    readonly salt: string;
  };
  /** Our side: 0 is `a`, 1 is `b`. */
  readonly us: 0 | 1;
  /** Whom the money goes to. */
  readonly owner: Address;
  /** Ready to send to `contract`, without value, in this order. */
  readonly transactions: ReadonlyArray<
    | { readonly call: "startExit" | "submitProofs"; readonly data: Hex }
    | { readonly call: "settle" | "settleBatch"; readonly assets: readonly Address[]; readonly data: Hex }
    | {
        readonly call: "recordEvidence" | "recordEvidenceBatch";
        /** What brings most first. */
        readonly items: ReadonlyArray<{
          readonly condition: Address;
          readonly params: Hex;
          readonly expiry: number;
          readonly evidence: Hex;
          readonly units: number;
        }>;
        readonly data: Hex;
      }
  >;
  readonly assets: ReadonlyArray<{
    readonly asset: Address;
    /** The newest that the contract takes from us. */
    readonly proofs: ReadonlyArray<{
      readonly payer: 0 | 1;
      readonly nonce: number;
      readonly transferred: string;
      readonly locked: string;
      readonly locksRoot: Hex;
      readonly seen: number;
      readonly signature: Hex;
      readonly acknowledgement: Hex;
    }>;
    /** The locks of every proof that an exit may be settled by, each tree as a change of the one before. */
    readonly lanes: ReadonlyArray<{
      readonly payer: 0 | 1;
      /** The highest nonce that this kit knows of. */
      readonly newest: number;
      readonly trees: ReadonlyArray<{
        readonly root: Hex;
        readonly remove: readonly number[];
        readonly put: ReadonlyArray<{
          readonly slot: number;
          readonly n: number;
          readonly unitPrice: string;
          readonly redeemed: number;
          readonly condition: Address;
          readonly params: Hex;
          readonly expiry: number;
        }>;
      }>;
    }>;
  }>;
}
