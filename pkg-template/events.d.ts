/** What is told of a client: its events, its log, and what there is to show and to report of it. */

import type { Address, Balance, ErrorCode, FarthingError, Hex, Info, Payment } from "./index.js";
import type { IncomingStream, RenewingStream } from "./streams.js";

/**
 * What happens, each after it is durable; also in other tabs that share the wallet. `restored`, `credit`, `storage`, `update`,
 * `offers` and `error` that come before anybody listens wait for the first who does.
 */
export type ClientEvent =
  | { readonly type: "payment"; readonly payment: Payment }
  /** There is more or less of something: what `client.balances()` gives, all of it. Not told where it is the same as before. */
  | { readonly type: "balance"; readonly balances: readonly Balance[] }
  /** So many streams to you wait for somebody who takes them by `on("stream", …)`; they are given back after a minute. */
  | { readonly type: "offers"; readonly waiting: number }
  /** Told only to who listens with `on("stream", …)`: of each that is open then, and of each that comes. Where nobody does, streams are declined after a minute. */
  | { readonly type: "stream"; readonly stream: IncomingStream }
  /** Of a stream that renews itself: the next one stands (`next` is its key), or it could not be placed, and is tried again. No money moved. */
  | { readonly type: "renewal"; readonly stream: RenewingStream; readonly next: Hex; readonly error?: undefined }
  | { readonly type: "renewal"; readonly stream: RenewingStream; readonly next?: undefined; readonly error: FarthingError }
  | { readonly type: "deposit"; readonly asset: string; readonly token: Address; readonly total: bigint }
  | { readonly type: "withdrawal"; readonly asset: string; readonly token: Address; readonly total: bigint; readonly to: Address }
  | { readonly type: "closing"; readonly assets: readonly string[] }
  /** There is more in the contract than before that could not be paid out, `amount` in all: see `client.collectCredit()`. */
  | { readonly type: "credit"; readonly asset: string; readonly token: Address; readonly amount: bigint }
  | {
      readonly type: "exit";
      /** `none`: a reorganisation took the exit back. */
      readonly stage: "none" | "starting" | "challenge" | "settling" | "claiming" | "done";
      /** `challenge`: until then proofs are taken; `claiming`: when the last open lock expires. Milliseconds since 1970. */
      readonly endsAt?: number;
      /** `claiming`: locks that still hold money of yours. */
      readonly locks?: number;
    }
  | {
      readonly type: "restored";
      /** Which backup was taken, the newest of the hub's and your own; or, with `adopt`, the `proofs` that the hub holds. */
      readonly from: "hub" | "backup" | "proofs";
      /** When it was made, milliseconds since 1970. */
      readonly madeAt: number;
      /** Who gave an older one. */
      readonly older?: "hub" | "backup";
    }
  /** A watchtower promised, signed by `tower`, to show the newest proofs. */
  | { readonly type: "watched"; readonly url: string; readonly tower: Address }
  /**
   * The user changed something in the wallet. Payments go on; what the wallet must sign or send is refused while it is not
   * `usable` for this channel. Wallets that tell nothing are asked all the same before each signature and transaction.
   */
  | {
      readonly type: "wallet";
      readonly changed: "account" | "chain" | "connected" | "disconnected";
      /** The account and the chain that it shows now; absent where it shows none. */
      readonly account?: Address;
      readonly chainId?: number;
      /** It shows the account that opened, on the channel's chain. */
      readonly usable: boolean;
    }
  | { readonly type: "connected" }
  | { readonly type: "disconnected" }
  /**
   * The store failed, or somebody else uses it, and the client has stopped: nothing is signed until `connect` has read it again.
   * Or a copy of the backup or the exit kit could not be kept; the message says which. An `error` event tells the same.
   */
  | { readonly type: "storage"; readonly error: FarthingError }
  /**
   * A newer version of this package is needed: the `hub` speaks a newer protocol, the `store` was written by a newer version,
   * or another `tab` runs one (then `version` says which, and loading the page again is enough).
   */
  | { readonly type: "update"; readonly newer: "hub" | "store"; readonly error: FarthingError; readonly version?: undefined }
  | { readonly type: "update"; readonly newer: "tab"; readonly version: string; readonly error?: undefined }
  | { readonly type: "error"; readonly error: FarthingError };

/** How much an entry of the log matters. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/**
 * An entry of the log. `what` is the name of an event (`info`; `error` and `storage` as `error`), or `open` and `disconnect`;
 * `call`, `done` (`debug`) and `failed` (`warn`) of a `method`; `trouble` (`warn`) with the `hub` or the `chain`, which is
 * tried again; `defect` (`error`) of this package. What fails has a `code` and a `message`; other details may come.
 */
export interface LogEntry {
  readonly level: LogLevel;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly what: string;
  readonly [detail: string]: unknown;
}

/** What there is to show of a client. */
export interface Snapshot {
  /** `connecting`: the hub is away, and called again; `closed`: after `disconnect`. */
  readonly status: "connected" | "connecting" | "closed";
  readonly info: Info;
  readonly balances: readonly Balance[];
  /** Streams to you that wait for `on("stream", …)`. */
  readonly offers?: number;
  /** Where an exit stands, since there is one. */
  readonly exit?: EventOf<"exit">;
  /** What was last wrong with the store. */
  readonly storage?: FarthingError;
  /** What asks for a newer version of this package. */
  readonly update?: EventOf<"update">;
}

/** What `client.inspect()` gives: all of it JSON, amounts as decimal strings. What can't be told is left out. */
export interface Inspection {
  /** The package's version. */
  readonly farthing?: string;
  readonly at: number;
  readonly environment: { readonly runtime: string; readonly page?: string; readonly online?: boolean };
  /** Of its URL only the origin. */
  readonly hub: { readonly url?: string; readonly owner?: Address; readonly signer?: Address };
  readonly connection: { readonly state: "connected" | "connecting" | "disconnected"; readonly since: number };
  readonly channel: { readonly address?: Address; readonly signer?: Address; readonly channelId?: Hex; readonly chainId?: number; readonly contract?: Address; readonly confirmations?: number };
  /** Of the options of `connect`, what is no secret. */
  readonly options: {
    readonly store: "default" | "memory" | "path" | "own";
    readonly wallet: "key" | "phrase" | "provider";
    readonly rpc: readonly string[];
    readonly watchtowers: readonly string[];
    readonly adopt: boolean;
    readonly shared: boolean;
    readonly budget?: unknown;
  };
  /** Whether the engine runs in this tab. */
  readonly tab: "alone" | "leads" | "follows";
  readonly engine?: {
    readonly protocol: number;
    readonly storeFormat: number;
    /** Block numbers, and how many seconds the newest is old. */
    readonly chain: { readonly head: number; readonly final: number; readonly lag: number };
    /** Seconds by which this device's clock is ahead of the chain, negative if behind. */
    readonly clock: { readonly aheadBy: number; readonly sure: boolean };
    /** Nonces: the highest signed, the newest that the hub accepted, the newest that was accepted of it, the highest seen. */
    readonly lanes: ReadonlyArray<{ readonly asset: string; readonly signed: number; readonly accepted: number; readonly received: number; readonly seen: number }>;
    /** Payments that are not over, by status, and calls that wait for the hub's signature. */
    readonly open: { readonly pending: number; readonly held: number; readonly returning: number; readonly asking: number };
    readonly exit: EventOf<"exit">["stage"];
    readonly synced: boolean;
    readonly closed: boolean;
    /** Why the hub is not connected, and why the client has stopped. */
    readonly obstacle?: ErrorCode;
    readonly failed?: ErrorCode;
  };
  readonly balances?: ReadonlyArray<{ readonly [Name in keyof Balance]: Balance[Name] extends bigint | undefined ? string : Balance[Name] }>;
  /** The last twenty failures, oldest first. */
  readonly failures: ReadonlyArray<{ readonly at: number; readonly what: string; readonly code: string }>;
}

/** The event with this name. */
export type EventOf<Name extends ClientEvent["type"]> = Extract<ClientEvent, { type: Name }>;
