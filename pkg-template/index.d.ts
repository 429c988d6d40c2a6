/**
 * Farthing: payment channels on Ethereum.
 *
 * Money is always a `bigint` of base units (wei for ETH), from 1 to 2^128 - 1; times are milliseconds since 1970. In the JSON
 * of what the client gives (`JSON.stringify`), amounts are decimal strings; `BigInt(text)` reads them.
 * Every call that fails rejects with a {@link FarthingError}, whose `code` is stable and whose message says what to do.
 * Every call ends: by its `timeout`, by its `signal`, or by itself. With the code `unanswered` something was signed or sent
 * that may still go through; of `aborted` and `client-closed` the message says whether it was; after any other code no money
 * moves, unless the message says that a transaction may still be sent or mined.
 *
 * @example
 * ```ts
 * import { connect } from "farthing";
 *
 * const client = await connect({ hub: "https://hub.example", wallet: window.ethereum });
 * await client.deposit({ asset: "ETH", amount: 50_000_000_000_000_000n });
 * const receipt = await client.pay({ to: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", asset: "ETH", amount: 1n });
 * console.log(receipt.status, receipt.preimage);
 * await client.close();
 * await client.disconnect();
 * ```
 *
 * @packageDocumentation
 */

import type { ClientEvent, EventOf, Inspection, LogEntry, Snapshot } from "./events.js";
import type { Budget, Spending } from "./fetch.js";
import type { CloseOptions, CollectCreditOptions, DepositFee, DepositFeeOptions, DepositOptions, ExitOptions, WithdrawOptions } from "./onchain.js";
import type { PaidRequestInit, PaidResponse } from "./pay/index.js";
import type { IncomingStream, ReceiptKey, ReceiptKeyOptions, Renewal, RenewingStream, Stream, StreamOptions, StreamPayment } from "./streams.js";

export type { ClientEvent, EventOf, Inspection, LogEntry, LogLevel, Snapshot } from "./events.js";
export type { Amounts, Budget, OverBudget, Spending } from "./fetch.js";
export type { CloseOptions, CollectCreditOptions, DepositFee, DepositFeeOptions, DepositOptions, ExitKit, ExitOptions, ExitProgress, Progress, WithdrawOptions } from "./onchain.js";
export type { PaidRequestInit, PaidResponse } from "./pay/index.js";
export type {
  IncomingStream, Interval, ReceiptKey, ReceiptKeyOptions, Renewal, RenewingStream, Revealing, Stream, StreamEnd, StreamOptions, StreamPayment,
} from "./streams.js";

// As TypeScript's own `esnext.disposable` and @types/node have it, for those who compile without.
declare global {
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
  }
}

/** `0x` and hex digits. */
export type Hex = `0x${string}`;

/** `0x` and 40 hex digits; in mixed case only with a valid checksum. */
export type Address = Hex;

/** `"ETH"`, a symbol that the hub lists, or a token's address. */
export type Asset = string;

/** Why a call failed. Each code keeps its meaning for ever; new ones may come. */
export type ErrorCode =
  | "invalid-argument" | "invalid-amount" | "amount-overflow" | "insufficient-funds" | "no-capacity" | "payee-unfunded" | "hub-unfunded"
  | "limit-exceeded" | "unknown-asset" | "unknown-channel" | "unknown-payee" | "unknown-payment"
  | "channel-closing" | "channel-exiting" | "channel-closed" | "chain-stale" | "unknown-condition"
  | "bad-expiry" | "slot-taken" | "too-many-locks" | "duplicate-secret" | "locks-pending" | "unacknowledged" | "payment-failed"
  | "payment-expired" | "payee-declined" | "not-connected" | "not-a-hub" | "other-channel" | "client-closed" | "aborted" | "unanswered" | "unsupported"
  | "bad-signature" | "bad-nonce" | "unknown-base" | "transferred-fell" | "proof-mismatch" | "bad-op"
  | "bad-evidence" | "redeem-too-low" | "release-refused" | "bad-encoding" | "message-too-large"
  | "rate-limited" | "not-authenticated" | "wrong-channel" | "bad-terms" | "hub-fault" | "storage-failed"
  | "storage-corrupt" | "storage-version" | "storage-locked" | "state-outdated" | "chain-unavailable"
  | "chain-mismatch" | "transaction-failed" | "wallet-rejected" | "wallet-unavailable" | "internal" | "not-loaded";

/** What a failed call rejects with. */
export interface FarthingError extends Error {
  readonly name: "FarthingError";
  /** Why, as a stable code. */
  readonly code: ErrorCode;
  /** What the wallet, the RPC or the store said, where one of them failed. */
  readonly cause?: unknown;
  /** Of a payment that failed, or is not waited for any more. */
  readonly paymentId?: Hex;
}

/** A wallet as browsers inject it ([EIP-1193](https://eips.ethereum.org/EIPS/eip-1193)). */
export interface Eip1193Provider {
  request(call: { method: string; params?: any }): Promise<any>;
  /** Where it is there, the client listens to `accountsChanged`, `chainChanged`, `connect` and `disconnect` while it lives. */
  on?(event: any, listener: (...told: any[]) => void): unknown;
  removeListener?(event: any, listener: (...told: any[]) => void): unknown;
}

/**
 * Who owns the money. A wallet is asked for its account and one signature, which makes the key that signs payments in
 * this browser; for a new channel for the same once more, since a wallet that signs differently each time can't make the
 * key again (`unsupported`, before any money moves; a channel that is stored opens for reading and leaving), and for one that lets payees be paid at the account's address; and
 * later for each transaction. Right before each signature and transaction it is asked for its account and chain: while it
 * shows another account than the one that opened (`wallet-unavailable`) or another chain (`chain-mismatch`), nothing is
 * signed or sent. It may take 20 seconds for what it answers by itself, and ten minutes for what it asks its user.
 *
 * What libraries have is taken as it is: a client or an account of viem, a connector of wagmi, a provider or a signer of ethers,
 * version 6. An account of viem's that is no client's needs `rpc`. Who can't sign typed data, and accounts that a contract runs,
 * are refused (`unsupported`) before anything is asked.
 */
export type Wallet =
  | Eip1193Provider
  | WalletOfLibrary
  /** 32 bytes: `0x` and 64 hex digits. */
  | { privateKey: string }
  /** A BIP-39 phrase, English, without passphrase; its first account (`m/44'/60'/0'/0/0`). */
  | { mnemonic: string };

/** As libraries have it; told apart by what it can do. */
export type WalletOfLibrary =
  /** An account of viem that signs by itself. */
  | { readonly address: Address; readonly type: string; signTypedData(data: any): Promise<Hex>; signTransaction(transaction: any, options?: any): Promise<Hex> }
  /** A connector of wagmi. */
  | { getProvider(options?: any): Promise<any> }
  /** A provider of ethers over a wallet. */
  | { send(method: string, params: any): Promise<any>; getSigner(address?: any): Promise<any> }
  /** A signer of ethers, with a provider. */
  | { readonly provider: any; getAddress(): Promise<string>; sendTransaction(transaction: any): Promise<any>; signTypedData(domain: any, types: any, value: any): Promise<string> };

/** What a wallet adds a chain with: as EIP-3085 names it, or as viem's chains do. */
export type ChainDetails =
  | { readonly chainName: string; readonly rpcUrls: readonly string[]; readonly nativeCurrency: Coin; readonly blockExplorerUrls?: readonly string[] }
  | {
      readonly name: string;
      readonly rpcUrls: { readonly default: { readonly http: readonly string[] } };
      readonly nativeCurrency: Coin;
      readonly blockExplorers?: { readonly default: { readonly url: string } } | undefined;
    };

/** What gas is paid with. */
export interface Coin {
  readonly name: string;
  readonly symbol: string;
  readonly decimals: number;
}

/**
 * Where a client keeps its state. A `commit` is atomic: when its promise resolves all writes survive a crash, when it
 * rejects none of them is there. Whoever lies about this loses money. Keys are ASCII, ordered bytewise.
 */
export interface Store {
  /** All entries whose key starts with `prefix`, in the order of their keys. */
  load(prefix: string): Promise<Array<[key: string, value: Uint8Array]>>;
  /** Applies writes in their order; `null` deletes. */
  commit(writes: Array<[key: string, value: Uint8Array | null]>): Promise<void>;
  /** Lets it go. */
  close(): Promise<void>;
}

/**
 * A second place for the backup, beside the hub's: sealed with the signer's key, some kilobytes, only the newest counts.
 * On an empty device the wallet comes back from the newer of the two.
 */
export interface BackupPlace {
  /** Keeps the bytes in place of earlier ones. */
  put(bytes: Uint8Array): Promise<void> | void;
  /** What was put last; nothing if there is none. */
  get(): Promise<Uint8Array | null | undefined> | Uint8Array | null | undefined;
}

/** What a function `confirm` of {@link ConnectOptions} is told. */
export interface PaymentToConfirm {
  readonly kind: "payment" | "stream";
  readonly to: Address;
  readonly asset: Asset;
  /** In base units; of a stream, what all of its units cost. */
  readonly amount: bigint;
  readonly memo?: string;
  /** Of a stream. */
  readonly unitPrice?: bigint;
  readonly units?: number;
}

/** Options of {@link connect}. */
export interface ConnectOptions {
  /** The hub's URL, `https:` or `http:`. */
  hub: string;
  /** Who owns the money. */
  wallet: Wallet;
  /**
   * Whether a wallet's user may be asked for the hub's chain (EIP-3326) where the wallet is on another one, each time that
   * something is to be signed or sent; with a chain's details also to add it (EIP-3085). Default: no, and `chain-mismatch`.
   */
  switchChain?: boolean | ({ readonly id?: number } & ChainDetails);
  /**
   * Asks before each payment and each stream (of a stream: for all of its units at once). A function is told of it, and pays
   * only where it gives `true`. `"wallet"`: the wallet's user signs a message that names the payee, the amount as people
   * write it and the asset, each time; where they refuse, nothing is paid (`wallet-rejected`). Default: nobody is asked.
   */
  confirm?: "wallet" | ((payment: PaymentToConfirm) => boolean | Promise<boolean>);
  /**
   * What signs payments, for a channel that is opened now. `"derived"`: a key that one signature of the wallet makes, each
   * time anew, and that is stored nowhere. `"random"`: one that is drawn here and kept, in browsers sealed by a key that
   * scripts can't read, in Node in the store; without the store it is lost, so keep {@link Client.exportSessionKey} or the
   * exit kit. `{ privateKey }`: that one, as it was exported. Default: derived, and random where a contract answers for the
   * account (ERC-1271), which never signs the same twice. Left out where `wallet` is a key itself.
   */
  sessionKey?: "derived" | "random" | { readonly privateKey: Hex };
  /** URLs of watchtowers: they answer an exit while this client is away, and can do nothing else. */
  watchtowers?: readonly string[];
  /** A second place for the backup. Without it only the hub keeps one, and a hub can give back an old one. */
  backup?: BackupPlace;
  /**
   * Take over what the hub holds of both directions, where that is newer than the store or the backup, or where there is
   * neither: after a `state-outdated`, or with nothing left but the key. Every signature is checked, and payments on
   * their way go on. What you paid is proven; of what you were paid the hub may show less than there was, beyond what the
   * store knows and what you have spent. So it is not the default. An event `restored` tells when something was taken over.
   */
  adopt?: boolean;
  /**
   * Payments to you that are not worth gas, by asset. Of those below `threshold` no evidence is recorded on chain where
   * the hub does not pay them; those that would make pending ones of that kind more than `cap` together are refused.
   * Nor does an exit pay out an asset of which at most so little can be yours. Without an entry for an asset each base unit is worth it.
   */
  dust?: Readonly<Record<Asset, { readonly threshold: bigint; readonly cap: bigint }>>;
  /**
   * An Ethereum node's HTTP URL. Needed with a local key; a wallet is its own node unless this is given. Of several the
   * first that answers is asked, and two must agree about what decides about money: where they contradict each other
   * there is no answer but `chain-unavailable`. One that can't be reached is left out.
   */
  rpc?: string | readonly string[];
  /**
   * `"memory"` (forgets), a path (Node), or an object. By default IndexedDB in browsers, and in Node a file under
   * `~/.farthing`. One client at a time can use a store, or in browsers all tabs together.
   */
  store?: "memory" | (string & {}) | Store;
  /** What {@link Client.fetch} may spend. */
  budget?: Budget;
  /**
   * Where {@link Client.fetch} keeps what it spent: `"memory"` (forgets), a path (Node), or an object. By default beside
   * `store`; in browsers IndexedDB, which all tabs share. One client at a time can use it.
   */
  spending?: "memory" | (string & {}) | Store;
  /** Seconds in which an exit of a new channel can be answered; the hub's default by default. */
  challengePeriod?: number;
  /**
   * The fewest blocks on top of a block before what is in it counts. By default it follows from the chain: 12 on Ethereum
   * and on chains that this package does not know, others on known ones, none on 31337 and 1337. If the hub waits for
   * more, so does the client, up to 96. `info.confirmations` says for how many.
   */
  confirmations?: number;
  /** Milliseconds between questions for a new block, where the node does not push them. Default 1000. */
  pollInterval?: number;
  /**
   * Called with the exit kit (see {@link Client.exportExitKit}) after `connect` and after what changes it: half a second
   * after the first change, and at most every five seconds. Keep the newest, and only that, where the loss of this
   * device or browser does not reach. If it throws or rejects, an `error` event says so, and the next change is told.
   */
  onExitKit?: (kit: string) => void | Promise<void>;
  /**
   * In browsers, whether tabs with the same hub and account share the wallet: one of them works for all. Default `true`,
   * where no `store` is given. With `false`, a second tab is refused (`storage-locked`).
   */
  shared?: boolean;
  /** Refuse a hub on any other chain. */
  chainId?: number;
  /** Refuse a hub with any other contract. */
  contract?: Address;
  /**
   * Called with what happens, in order, from `connect` on: for developing and for reports. No entry holds a key, a phrase, a
   * word, a preimage or a memo, nor of a URL more than its origin. Whatever the hook throws is dropped, and a promise that it
   * gives is not waited for. Without a hook nothing is logged, and never anything on the console.
   */
  log?: (entry: LogEntry) => void | Promise<void>;
  /** Stops waiting (`aborted`), and lets go of what was opened. */
  signal?: AbortSignal;
  /**
   * Milliseconds after which it is not waited for any more; the code names who was silent: `wallet-unavailable`,
   * `chain-unavailable` or `not-connected`. Default: 45 minutes, of which each question to the wallet's user has ten.
   */
  timeout?: number;
}

/** Options of {@link Client.pay}. */
export interface PayOptions {
  /** The address of somebody who has a channel with this hub, or of the hub itself. */
  to: Address;
  asset: Asset;
  /** Base units. */
  amount: bigint;
  /** For the payee alone, encrypted to it; at most 256 bytes of UTF-8. */
  memo?: string;
  /** Go on waiting while the payee is away, instead of resolving with the status `"held"`. */
  wait?: boolean;
  /** Seconds after which an unclaimed payment comes back. Default: a day. */
  expiresIn?: number;
  /**
   * 16 random bytes, as the payment's id. If there is a payment with it already, that one is waited for and nothing is
   * paid again: so a call whose answer was lost, in a crash for example, can be repeated with the same id. An id that
   * names a payment to somebody else, or of another amount, asset or memo, is refused.
   */
  id?: Hex;
  /** Stops waiting; a payment that was signed goes on, any other is never made. */
  signal?: AbortSignal;
  /**
   * Milliseconds after which it is not waited for any more: `unanswered` if it was signed, and may still complete; another
   * code if it was not, and never will be. Default: 90 seconds; with `wait`, until the offer's expiry is final. Where the hub
   * is not connected, 15 seconds by default, and then `not-connected`.
   */
  timeout?: number;
}

/** Options of {@link Client.cancel}. */
export interface CancelOptions {
  /** Stops waiting; the hub may still give it back. */
  signal?: AbortSignal;
  /** Milliseconds. Default: a minute. */
  timeout?: number;
}

/** Which payments to list. */
export interface PaymentFilter {
  asset?: Asset;
  direction?: Payment["direction"];
  status?: Payment["status"];
  /** At most so many. */
  limit?: number;
  /** Stops waiting. */
  signal?: AbortSignal;
  /** Milliseconds. Default: a minute. */
  timeout?: number;
}

/** A payment, sent or received. */
export interface Payment {
  readonly id: Hex;
  readonly direction: "sent" | "received";
  /**
   * `pending`: on its way. `held`: the hub keeps the offer for a payee that is away. `completed`: the payee has it.
   * `returning`: it failed, but an older signature could still be used, so do not pay again yet. `failed`: nothing was
   * paid, and nothing can be any more.
   */
  readonly status: "pending" | "held" | "completed" | "returning" | "failed";
  /** The hub's symbol for it. */
  readonly asset: string;
  /** The token's address; the zero address is ETH. */
  readonly token: Address;
  readonly amount: bigint;
  /** Of payments sent; a payee does not learn who paid. */
  readonly to?: Address;
  readonly memo: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly expiresAt?: number;
  /** The proof of payment: its sha256 is the hash that the payment was locked to. */
  readonly preimage?: Hex;
  /** Why it failed. */
  readonly code?: ErrorCode;
  /** If it is paid in units. `amount` is what all of them cost, and when it has ended what was paid. */
  readonly stream?: {
    readonly key: Hex;
    readonly condition: "hash-chain" | "voucher";
    readonly params: Hex;
    readonly unitPrice: bigint;
    readonly units: number;
    /** Units that words are stored for. */
    readonly shown: number;
    /** Units handed over. */
    readonly paid: number;
    /** Whether somebody else makes its words. */
    readonly granted: boolean;
    readonly revealBy: number;
  };
}

/** What {@link Client.pay} resolves with. */
export interface Receipt extends Payment {
  readonly direction: "sent";
  readonly status: "completed" | "held";
}

/** What there is of an asset. */
export interface Balance {
  readonly asset: string;
  readonly token: Address;
  /** Can be spent now. */
  readonly available: bigint;
  /** In payments sent that are not settled. */
  readonly sending: bigint;
  /** In payments received that are not settled. */
  readonly receiving: bigint;
  /** What the hub's side can pay now; the hub adds to it when a payment needs more. */
  readonly receivable: bigint;
  /** Deposits confirmed on chain. */
  readonly deposited: bigint;
  /** Withdrawals confirmed on chain. */
  readonly withdrawn: bigint;
  /**
   * What a closing or an exit could not pay out, since the token or the owner's account refused it, of whatever channel:
   * the contract keeps it until {@link Client.collectCredit}. Absent until the chain has told.
   */
  readonly credit?: bigint;
  readonly status: "open" | "closed" | "settled";
}

/** Who and where a client is. */
export interface Info {
  /** The owner's account: where others pay to. */
  readonly address: Address;
  /** The key that signs payments. */
  readonly signer: Address;
  readonly channelId: Hex;
  readonly chainId: number;
  readonly contract: Address;
  readonly challengePeriod: number;
  readonly confirmations: number;
  /**
   * Whether the hub is connected. `false` also right after `connect`, if the hub is gone, refuses or is another one than
   * before: what needs no hub works, {@link Client.exit} above all, and the client goes on calling.
   */
  readonly connected: boolean;
  readonly hub: {
    readonly url: string;
    readonly owner: Address;
    readonly signer: Address;
    readonly assets: ReadonlyArray<{
      readonly asset: string;
      readonly token: Address;
      readonly decimals: number;
      readonly channelCapacity: bigint;
      readonly minPayment: bigint;
      readonly maxPayment: bigint;
      /** What the hub takes for sending a deposit, if it does. */
      readonly depositFee?: bigint;
    }>;
  };
}

/** A channel with a hub. Made by {@link connect}. */
export interface Client {
  /** Who and where it is. */
  readonly info: Info;
  /**
   * Puts money into the channel; resolves when it can be spent. The hub's limits are checked before any transaction. Where
   * the chain can't be read for a minute after the transaction was sent it ends with `chain-unavailable`. With a local
   * key the same call, asked again, goes on with that transaction and sends no other; otherwise look at `balances()` first.
   * With `gas: "hub"` the owner signs and the hub sends; what was signed is stored first, and the same call goes on with it,
   * also after a restart, until it is in the channel or past its time. `fee` is what the hub took of the amount.
   */
  deposit(options: DepositOptions): Promise<{ readonly hash: Hex; readonly fee?: bigint }>;
  /** What the hub takes for sending a deposit (`gas: "hub"`), asked of it now; `null` if it sends none, or the token can't be taken by a signature. */
  depositFee(options: DepositFeeOptions): Promise<DepositFee | null>;
  /**
   * Pays. Resolves when the payee has the money, or, unless `wait` is set, when the hub holds the offer for a payee
   * that is away (`status: "held"`).
   */
  pay(options: PayOptions): Promise<Receipt>;
  /**
   * Places a stream: money in units that are then paid one by one, between payer and payee, without the hub. Resolves when
   * the payee has it. What is not paid comes back when the payee gives it up, or at the expiry.
   */
  stream(options: StreamOptions & { renew: true | Renewal }): Promise<RenewingStream>;
  stream(options: StreamOptions): Promise<Stream>;
  /** Those of the payments that are paid in units, newest first: with grants, and with those that ended. */
  streams(filter?: PaymentFilter): Promise<readonly StreamPayment[]>;
  /**
   * As `fetch`, and pays what a server of the scheme asks for, within the budget: by streams, one for each payee and price,
   * which it places when they are needed. Where the price is known the first request is paid: one round trip. What a server
   * refuses for good rejects with its code, and so does what the budget refuses (`over-limit`); a 402 of other schemes comes
   * back as it is. A request whose answer was lost, also by a restart, pays nothing new when it is made again. No payment
   * follows a redirect to another origin. Codes that are not an {@link ErrorCode} are those of `farthing/pay`.
   */
  fetch(input: string | URL | Request, init?: PaidRequestInit): Promise<PaidResponse>;
  /** What was spent where by {@link Client.fetch}, newest day first. */
  spending(): Promise<readonly Spending[]>;
  /** Lets a key of yours sign receipts, in programs that do not have this wallet. */
  signReceiptKey(options: ReceiptKeyOptions): Promise<ReceiptKey>;
  /** Asks for a payment back that the payee has not taken, or for the rest of a stream; resolves when it `failed` or was `completed`. */
  cancel(id: Hex, options?: CancelOptions): Promise<Payment>;
  /**
   * Takes money out with the hub's signature; resolves when it is confirmed on chain. If the recipient refuses the money
   * the transaction reverts, `transaction-failed`: nothing moved, and after ten minutes it is available again. Once it is
   * signed it may be paid out for ten minutes, whatever the call ended with: the same call goes on with it and takes the
   * money out once; until then another recipient or, if it was not sent, another amount is refused (`unanswered`).
   */
  withdraw(options: WithdrawOptions): Promise<{ readonly hash?: Hex }>;
  /**
   * Ends the channel, or some assets of it, with the hub's signature; resolves when all is paid out. `locks-pending` while
   * payments or streams are open, those of {@link Client.fetch} too: give them back with {@link Client.cancel}.
   */
  close(options?: CloseOptions): Promise<{ readonly hash?: Hex }>;
  /** Fetches an asset's {@link Balance.credit}; resolves when it is confirmed on chain. */
  collectCredit(options: CollectCreditOptions): Promise<{ readonly hash: Hex }>;
  /**
   * Leaves without the hub: starts an exit on chain with the newest proofs, waits for the end of the challenge period,
   * settles and claims every lock; resolves when nothing is left in the contract. The exit goes on by itself when the
   * application or the tab is closed and `connect` is called again, by whichever side it was started.
   */
  exit(options?: ExitOptions): Promise<void>;
  /**
   * All that is needed to leave without the hub, this package and this store, as the JSON of an {@link ExitKit}:
   * `npx farthing exit --kit FILE --rpc URL` takes the money out, and so does the page `exit/index.html` of the package.
   * Only the newest kit is of full worth. It holds no key; it shows what you were paid, and known preimages. Works
   * after `disconnect` and after a failure of the store, too.
   */
  exportExitKit(): Promise<string>;
  /**
   * The session key as 0x and 64 hex digits: a secret that can spend what is in this channel, and nothing else. With it
   * `connect({ sessionKey: { privateKey } })` takes the channel up on another device, by the backup or by `adopt`: on
   * one at a time, since of two the one that fell behind signs nothing more (`state-outdated`).
   * `unsupported` where the wallet's own key signs payments.
   */
  exportSessionKey(): Promise<Hex>;
  /** What there is of each asset that the hub lists. */
  balances(): Promise<readonly Balance[]>;
  /** Payments, newest first. */
  payments(filter?: PaymentFilter): Promise<readonly Payment[]>;
  /** What happens from now on, until `disconnect`. A reader that is slower than 4096 events loses the oldest. */
  events(): AsyncIterableIterator<ClientEvent>;
  /** Calls `listener` at each event with this name; returns a function that ends it. */
  on<Name extends ClientEvent["type"]>(name: Name, listener: (event: EventOf<Name>) => void): () => void;
  /**
   * Calls `listener` each time that {@link Client.snapshot} gives another object; returns a function that ends it. Both are
   * bound: `useSyncExternalStore(client.subscribe, client.snapshot)`.
   */
  subscribe(this: void, listener: () => void): () => void;
  /** What there is to show, now and at once; the same object until something of it changes. */
  snapshot(this: void): Snapshot;
  /** For bug reports: plain JSON without secrets, within a second, whatever has failed; also after `disconnect`. */
  inspect(): Promise<Inspection>;
  /** Ends what `on` began. */
  off<Name extends ClientEvent["type"]>(name: Name, listener: (event: EventOf<Name>) => void): void;
  /** Lets the hub and the store go; other tabs that share the wallet go on. The channel stays; `connect` takes it up again. */
  disconnect(): Promise<void>;
  /** `await using client = await connect(…)` disconnects at the end of its block. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the channel with a hub, or takes it up again. Costs no transaction. A channel that is stored here and not over is
 * taken up within seconds also without the hub: look at `client.info.connected`. Whoever answers as another hub (another
 * chain, contract, owner or signer) is not taken for ours while there is money in our channel; an `error` event tells.
 *
 * @throws {@link FarthingError} `chain-mismatch` if the hub, the wallet and the options do not agree on the chain;
 * `storage-locked` if another process, or a tab that does not share, uses the store; `wallet-rejected`; `not-a-hub`
 * if something else answers at its URL, `not-connected` if the hub can't be reached, and no channel with it is stored;
 * `unsupported` where the platform has no WebSocket, or a page's Content-Security-Policy refuses the hub's socket;
 * `state-outdated` if the chain knows a channel of this account with money in it that the store does not know, and there is
 * no backup; with `adopt`, if the hub hides proofs that must be there.
 */
export declare function connect(options: ConnectOptions): Promise<Client>;

/** Every code that an error can have. */
export declare function errorCodes(): Promise<ErrorCode[]>;

/**
 * The base units of an amount as people write it: `parseUnits("0.05", 18)`. An asset's `decimals` are in `info.hub.assets`; what
 * is worth money should use those that it knows of the token. As viem's, but strict: an amount with more decimals than there
 * are is refused instead of rounded (zeros at the end are none), and so is a text without digits.
 *
 * @throws {@link FarthingError} `invalid-amount` if it is no decimal number, `invalid-argument` if `decimals` is none from 0 to 255.
 */
export declare function parseUnits(value: string, decimals: number): bigint;

/** The same the other way, exact, without zeros at the end. As viem's. */
export declare function formatUnits(value: bigint, decimals: number): string;

/** A `WebAssembly.Module`; declared like this for compilers without the browser's library. */
export type CompiledModule = object;

/** Starts to load the wasm module, so that {@link connect} need not wait for it. A failure is told by `connect`, which tries again. */
export declare function preload(): void;

/**
 * Loads the wasm module, from the URL beside the package by default. `connect` does it by itself; call it where the
 * bundler does not copy the file (`initAsync(url)`), or early, to save the time later.
 *
 * @throws {@link FarthingError} `not-loaded` if the module is not there, is none, or may not be compiled; the next call tries again.
 */
export declare function initAsync(
  source?: string | URL | Response | Promise<Response> | ArrayBuffer | ArrayBufferView | CompiledModule,
): Promise<void>;
