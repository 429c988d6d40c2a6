/** Streams: {@link Client.stream}, what it gives, and what a payee gets; keys that sign receipts. */

import type { Address, Asset, CancelOptions, Hex, Payment } from "./index.js";

/** Options of {@link Client.stream}. */
export interface StreamOptions {
  /** The address of somebody who has a channel with this hub. */
  to: Address;
  asset: Asset;
  /** Base units. */
  unitPrice: bigint;
  /** How many; all together are locked until they are paid, given up or expired. Of a hash chain at most 16384. */
  units: number;
  /**
   * `"hash-chain"` (default): a word is 32 bytes and takes a microsecond, for many small steps of one price. `"voucher"`: a
   * word is a signature, takes a tenth of a millisecond, and may be for any number of up to 4294967295 units at once.
   */
  condition?: "hash-chain" | "voucher";
  /** The tip of a hash chain that somebody else made, whose words they show by themselves: a grant. Each tip is granted once, ever. */
  tip?: Hex;
  /** For the payee alone, encrypted to it; at most 256 bytes of UTF-8. */
  memo?: string;
  /** Seconds after which what is not used comes back. Default: a day. */
  expiresIn?: number;
  /** 16 random bytes, as the stream's id. If there is a stream with it already, that one is given: so a call whose answer was lost can be repeated. */
  id?: Hex;
  /**
   * Go on without a pause: a stream to the same payee on the same terms is placed before this one is used up or expires, and
   * `pay` passes over to it; what is not used of the old one comes back. `true`: at a quarter of its units, or of its time.
   * Each binds its own money until then. With an `id` it is taken up again after a restart, by whichever of them is in use. Not of a grant.
   */
  renew?: boolean | Renewal;
  /** Stops waiting. A stream that was signed stands, and costs nothing before words of it are shown. */
  signal?: AbortSignal;
  /** Milliseconds. Default: 90 seconds. */
  timeout?: number;
}

/** When the successor of a stream is placed. */
export interface Renewal {
  /** When so few units are left: below 1 a share of all of them, from 1 on a number. Default a quarter. */
  readonly below?: number;
}

/** What both ends know of a stream. */
export interface StreamEnd {
  /** As in `payments()`. */
  readonly id: Hex;
  /** Names it to payer, hub and payee alike: 32 bytes. */
  readonly key: Hex;
  readonly direction: "sent" | "received";
  readonly condition: "hash-chain" | "voucher";
  /** Of the condition: a hash chain's tip and 4 bytes of length; a voucher's signer and id. */
  readonly params: Hex;
  readonly asset: string;
  readonly token: Address;
  /** Base units. */
  readonly unitPrice: bigint;
  readonly units: number;
  readonly memo: string;
  readonly status: Payment["status"];
  readonly ended: boolean;
  /** Units that the hub has paid on. */
  readonly handedOver: number;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** Words count until then: later they could not be shown to the hub in time. */
  readonly revealBy: number;
  readonly to?: Address;
}

/** Units from `from` (not with it) to `to`, and the word that proves all up to `to`. */
export interface Interval {
  /** Of the stream that they are of: with `renew` it changes. */
  readonly key: Hex;
  readonly from: number;
  readonly to: number;
  /** 32 bytes, of vouchers 65. */
  readonly word: Hex;
}

/** A stream that we pay. Made by {@link Client.stream}. */
export interface Stream extends StreamEnd {
  readonly direction: "sent";
  /** Units that words were made for. After a crash it may be behind by what was paid in the last quarter of a second. */
  readonly paid: number;
  readonly remaining: number;
  /**
   * Pays units, at once: whoever has the word has been paid. Default 1.
   * @throws {@link FarthingError} `insufficient-funds` beyond the last unit, `payment-expired`, `payment-failed` when it has
   * ended, `unsupported` for a grant. Nothing was paid then.
   */
  pay(units?: number): Interval;
  /** Resolves when what was paid so far is stored. */
  saved(): Promise<void>;
  /** Asks the payee for the rest; resolves when it is back. What was paid stays paid. */
  end(options?: CancelOptions): Promise<void>;
}

/**
 * A stream that goes on, of {@link StreamOptions.renew}. What it shows is of the stream in use; the payee sees each of them as
 * a stream of its own, by the `key` of what is paid. The event `renewal` tells when the next one stands, or why not: then
 * this one goes on to its end, and it is tried again after a second, up to a minute later each time, and when the hub is back.
 */
export interface RenewingStream extends Stream {
  /** The `id` to take it up with again. */
  readonly first: Hex;
  /** Key of the stream that `pay` will pass over to, if it stands. */
  readonly next: Hex | undefined;
  /**
   * Pays units, all of one stream: of the next one, where this one has not so many.
   * @throws {@link FarthingError} as `pay` of any stream; `insufficient-funds` where there are not so many at once yet: see `topUp`.
   */
  pay(units?: number): Interval;
  /** Resolves when `pay(units)` can be paid: at once, or when a stream of so many has been placed. */
  topUp(units: number, options?: { signal?: AbortSignal }): Promise<void>;
  /** Places no more, and asks for the rest of all of them. */
  end(options?: CancelOptions): Promise<void>;
}

/** When an {@link IncomingStream} shows its best word to the hub by itself. */
export interface Revealing {
  /** When that share of all units waits. Default 1/8. */
  share?: number;
  /** Milliseconds after the first unit that waits. Default 10000. */
  age?: number;
  /** Milliseconds without a new word after which the rest is given up. Default 0: never. */
  idle?: number;
}

/** A stream to us. Told by the event `stream`. */
export interface IncomingStream extends StreamEnd {
  readonly direction: "received";
  /** Units that words were taken for. */
  readonly proved: number;
  /**
   * Takes a word; gives how many units are newly proved by it, 0 for one of units that were. It is stored and shown to
   * the hub by amount, by age, before the expiry and when idle (see {@link IncomingStream.revealing}), or with `reveal`.
   * @throws {@link FarthingError} `bad-evidence`, `payment-expired`, `payment-failed` when it has ended. Nothing was taken then.
   */
  take(paid: { to: number; word: Hex }): number;
  /** Changes when words are shown. */
  revealing(revealing: Revealing): void;
  /** Shows the best word now; resolves when it is stored. */
  reveal(): Promise<void>;
  /** Shows the best word, and gives the rest back. */
  giveUp(): Promise<void>;
  /** Called when the payer asks for the rest; by default `giveUp`. */
  onend?: (() => unknown) | undefined;
}

/** Options of {@link Client.signReceiptKey}. */
export interface ReceiptKeyOptions {
  /** 32 bytes of an Ed25519 key. */
  publicKey: Hex;
  /** Seconds. */
  expiresIn: number;
}

/** That a key may sign receipts for a payee: the signer's EIP-712 signature over `ReceiptKey(address payee,bytes32 publicKey,uint64 expires)`. */
export interface ReceiptKey {
  readonly publicKey: Hex;
  /** Whom payers pay to. */
  readonly payee: Address;
  /** Unix seconds. */
  readonly expires: number;
  readonly signature: Hex;
  readonly signer: Address;
  readonly channelId: Hex;
  /** Where the payee is not the signer: its signature over `Binding(address owner,address signer,bytes32 channelId)`. */
  readonly binding?: Hex;
}

/** A payment that is paid in units, as {@link Client.streams} lists it. */
export type StreamPayment = Payment & { readonly stream: NonNullable<Payment["stream"]> };
