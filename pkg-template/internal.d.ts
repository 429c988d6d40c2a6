/**
 * What the files of this package hand to each other. For the compiler, which checks them; nothing is loaded from here.
 */

import type { Balance, ClientEvent, ConnectOptions, ErrorCode, FarthingError, Hex, Info, Payment, Store } from "./index.js";

/** What a call of the application is called between face, tabs and engine. */
export type Method =
  | "deposit"
  | "depositFee"
  | "pay"
  | "cancel"
  | "withdraw"
  | "close"
  | "collectCredit"
  | "exit"
  | "exitKit"
  | "sessionKey"
  | "balances"
  | "payments"
  | "standing"
  | "stream"
  | "takeStreams"
  | "noteShown"
  | "reveal"
  | "endStream"
  | "signReceiptKey";

/** A stream as the engine gives it: `words` makes its words, where they are ours. */
export interface PlacedStream {
  payment: Payment & { stream: StreamPart };
  words?: Hex;
}

/** What the engine tells of a stream beside what is a payment's. */
export interface StreamPart {
  key: Hex;
  condition: "hash-chain" | "voucher";
  params: Hex;
  unitPrice: bigint;
  units: number;
  shown: number;
  paid: number;
  granted: boolean;
  ending: boolean;
  revealBy: number;
}

/** An event that is not for applications. */
export type Inner = { type: "_endAsked"; id: Hex } | Trouble;

/** What went wrong and is tried again, for the log. */
export interface Trouble {
  type: "_trouble";
  with: "hub" | "chain";
  error: FarthingError;
}

/** The engine in the Rust module, or a tab in its place. It checks what it is given. */
export interface Core extends Record<Method, (argument?: any) => Promise<any>> {
  info(): Info;
  balancesNow(): readonly Balance[];
  /** Of a tab: whether the engine runs in it, and what `standing` says wherever it does. */
  role?(): "leads" | "follows";
  report?(): any;
  disconnect(): Promise<void>;
}

/** Who hears the engine's events. */
export type Tell = (event: ClientEvent) => void;

/** What a platform adds. */
export interface Environment {
  openStore?(name: string, path?: string): Promise<Store>;
  /** Seals bytes under a key that never leaves the platform, for this context alone. */
  seal?(bytes: Uint8Array, context: string): Promise<Uint8Array>;
  /** Undoes it; nothing if that can't be done. */
  unseal?(bytes: Uint8Array, context: string): Promise<Uint8Array | undefined>;
  shared?: boolean;
}

/** A way to get an engine. */
export type Open = (options: ConnectOptions, environment: Environment, tell: Tell) => Promise<Core>;

/** A way to get the module's bytes. */
export type Source = string | URL | Response | BufferSource | WebAssembly.Module | Promise<Response>;

/** An error as it is before it has its code. */
export type Fault = { -readonly [Name in keyof FarthingError]: FarthingError[Name] };

/** Of an error, what crosses the channel of the tabs. */
export interface Packed {
  code: ErrorCode;
  message: string;
  paymentId?: Hex | undefined;
  cause?: { code?: number | string | undefined; message: string } | undefined;
}

/** An event on that channel. */
export type Told = Exclude<ClientEvent, { type: "error" }> | { type: "error"; error: Packed };

/** A tab's time with the lock. */
export interface Tenure {
  epoch: number;
  /** Once it runs. */
  core?: Core;
  /** We lead no more. */
  over: boolean;
  /** Calls of other tabs. */
  served: Map<Hex, Served>;
  /** Events from before the engine was there. */
  early: ClientEvent[];
  /** Others wait for the lock. */
  crowd: boolean;
  beats: number;
  /** The lock is ours until this resolves. */
  held: Promise<void>;
  release(): void;
}

/** A call of another tab. */
export interface Served {
  controller: AbortController;
  /** Its caller's leave. */
  go?(): void;
}

/** A call of this tab that is not answered. */
export interface Call {
  id: Hex;
  method: Method;
  argument: any;
  /** Whom it was given to; 0 if nobody. */
  epoch: number;
  /** It may have had an effect. */
  begun: boolean;
  resolve(value: any): void;
  reject(error: unknown): void;
  signal?: AbortSignal;
  onProgress?(step: unknown): void;
  abort(): void;
  timer: ReturnType<typeof setTimeout>;
}

type Kinds =
  | { kind: "hello"; version?: string }
  | { kind: "ping" }
  | { kind: "beat"; epoch: number; ready: boolean; version?: string; info?: Info | undefined; balances?: readonly Balance[] | undefined }
  | { kind: "event"; epoch: number; event: Told; info: Info }
  | { kind: "failed"; error: Packed }
  | { kind: "call"; epoch: number; id: Hex; method: Method; argument: unknown; signal: boolean; progress: boolean }
  | { kind: "go" | "abort"; id: Hex }
  | { kind: "offer"; epoch: number; id: Hex }
  | { kind: "progress"; id: Hex; step: unknown }
  | { kind: "done"; id: Hex; value: unknown }
  | { kind: "refused"; epoch: number; id: Hex; error: Packed };

type Names<Kind> = Kind extends Kind ? keyof Kind : never;
type Whole<Kind, All extends PropertyKey> = Kind extends Kind ? Kind & { [Name in Exclude<All, keyof Kind>]?: undefined } : never;

/** What crosses the channel; a kind has nothing of what others have. */
export type Message = Whole<Kinds, Names<Kinds>>;

/** One that was asked to do a call. */
export type Asked = Extract<Message, { kind: "call" }>;

/** Of the program in `bin/`: asks an EVM node. */
export type Ask = (method: string, params: unknown[]) => Promise<any>;

/** One node. */
export interface Node {
  ask: Ask;
  /** Scheme and host. */
  name: string;
  /** When it may be asked again, and until when it counts as down; milliseconds since 1970. */
  until: number;
  down: number;
}

/** An exit kit as the engine reads it. */
export interface Kit {
  chainId: number;
  contract: string;
  channelId: string;
  owner: string;
  signer: string;
  us: 0 | 1;
  /** With what the newest proofs say of each lane, and the tree behind each root. */
  assets: { asset: string; proofs: { payer: 0 | 1; nonce: number | bigint }[]; lanes: { trees: Map<string, unknown> }[] }[];
  evidence: unknown[];
}

/** Who sends and pays the gas. */
export interface Sender {
  account: string;
  sign(fields: string[]): string;
}

/** A call of the contract. */
export interface Action {
  call: string;
  to: string;
  data: string;
}

/** What an exit is driven with. */
export interface Driven {
  ask: Ask;
  kit: Kit;
  sender: Sender;
  confirm(): Promise<boolean>;
  say(line: string): void;
  /** Milliseconds between looks. */
  poll: number;
  /** Waits for what there is to wait for. */
  patient: boolean;
  /** Whom credits go to, if not the owner. */
  recipient?: string | undefined;
  /** Blocks above one that make it count; by default as the chain needs them. */
  confirmations?: number | undefined;
}
