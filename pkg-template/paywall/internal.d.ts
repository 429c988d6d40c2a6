/**
 * What the files of the paywall hand to each other. For the compiler; nothing is loaded from here.
 */

import type { Address, Hex } from "../index.js";
import type { ProblemCode } from "./index.js";
import type { Sale } from "./sale.mjs";

/** A stream's terms and how far it is paid. Amounts are decimal strings, addresses in lower case, times milliseconds. */
export interface Stream {
  key: string;
  condition: "hash-chain" | "voucher";
  params: string;
  token: string;
  symbol: string;
  unitPrice: string;
  units: number;
  /** From then on a word can't be shown in time. */
  expiresAt: number;
  /** Nobody sells by it from then on. */
  endedAt: number | null;
  best: number;
  word: string | null;
  /** Up to where something was served. */
  earned: number;
  /** What the engine has. */
  shown: number;
  usedAt: number;
}

/** A sold interval. The units `(from, upto]` are spent, `(upto, to]` are free again. */
export interface Record {
  key: string;
  id: string;
  from: number;
  to: number;
  upto: number;
  bind: string;
  /** The id of the request that it goes on with, if it is a side request's. */
  session: string | null;
  route: string;
  method: string;
  url: string;
  state: "serving" | "served" | "failed";
  charged: number;
  attempt: number;
  /** Which process serves it. */
  holder: string;
  at: number;
  settledAt: number | null;
}

/** What a payment wants. */
export interface Claim {
  key: string;
  id: string;
  from: number;
  to: number;
  bind: string;
  session: string | null;
  route: string;
  method: string;
  url: string;
  /** Base units that it has to come to. */
  amount: bigint;
}

/** How often and how long the same id goes on. */
export interface Again {
  times: number;
  milliseconds: number;
}

export type Verdict =
  | { step: "refused"; code: ProblemCode }
  /** The handler runs, or runs again for what was paid and not served. */
  | { step: "serve"; record: Record }
  /** It was served and charged; the kept answer, or the handler, at no charge. */
  | { step: "again"; record: Record }
  /** Of a side request. */
  | { step: "joined"; record: Record };

export type Outcome = Verdict | { step: "settled"; records: Record[] } | { step: "late" };

export interface Answer {
  status: number;
  headers: [string, string][];
  body: Uint8Array;
}

export interface Spend {
  claim: Claim;
  word: string;
  margin: number;
  again: Again;
  opening?: { key: string; id: string };
}

export type Op =
  | ({ type: "spend" } & Spend)
  | { type: "settle"; key: string; id: string; attempt: number; charged: number; answer?: Answer }
  | { type: "close"; key: string; id: string; attempt: number; used: bigint };

/** What a store reads for a batch. */
export interface View {
  streams: Map<string, Stream>;
  records: Map<string, Record>;
  /** Places of ops whose interval overlaps what another id has. */
  overlaps: Set<number>;
  /** Unsettled intervals of side requests, by the id that opened the session. */
  sessions: Map<string, Record[]>;
  /** Until when processes count as alive. */
  until: Map<string, number>;
  now: number;
  holder: string;
  active: ReadonlySet<string>;
}

export interface Writes {
  records: Map<string, Record>;
  words: Map<string, { best: number; word: string }>;
  /** Up to where something was served, by stream. */
  earned: Map<string, number>;
  answers: Array<Answer & { key: string; id: string; at: number }>;
}

/** What a database does. Duty: `run` is one transaction that is durable when it resolves and has not happened when it
 * rejects, or may have; two of them that touch one stream exclude each other. */
export interface Backend {
  run(ops: Op[], holder: string, active: ReadonlySet<string>): Promise<Outcome[]>;
  beat(holder: string, lease: number): Promise<void>;
  leave(holder: string): Promise<void>;
  putStream(stream: Stream): Promise<boolean>;
  endStream(key: string, now: number): Promise<boolean>;
  showed(key: string, shown: number): Promise<void>;
  stream(key: string): Promise<Stream | undefined>;
  due(): Promise<Stream[]>;
  /** Streams that were ended since then, by whichever process. */
  ended(since: number): Promise<string[]>;
  /** Whether something is being served by a stream, or was when its process died. */
  open(key: string): Promise<boolean>;
  /** Whether a payment with an id that ends so was sold by a stream. */
  made(key: string, tail: string): Promise<boolean>;
  endable(usedBefore: number, expiresBefore: number): Promise<Stream[]>;
  spent(key: string): Promise<[number, number][]>;
  session(id: string): Promise<Record[]>;
  answer(key: string, id: string): Promise<Answer | undefined>;
  fact(name: string): Promise<string | undefined>;
  putFact(name: string, value: string): Promise<void>;
  sales(since: number, till: number): Promise<any[]>;
  purge(limits: { answersBefore: number; answerBytes: number; recordsBefore: number }): Promise<void>;
  close(): Promise<void>;
}

export interface PoolClient {
  query(sql: string, values?: unknown[]): Promise<{ rows: any[]; rowCount: number | null }>;
  release(error?: Error): void;
  on?(event: "error", listener: (error: Error) => void): unknown;
}

export interface Pool extends Pick<PoolClient, "query" | "on"> {
  connect(): Promise<PoolClient>;
}

/** What the scheme's decoder gives. */
export interface Payment {
  network: string;
  asset: string;
  payTo: string;
  key: string;
  from: number;
  to: number;
  word: string;
  id: string;
  bind: string;
}

/** Who sells. */
export interface Site {
  payTo: Address;
  hub: string;
  chainId: number;
  network: string;
  contract: Address;
  assets: { symbol: string; token: Address; decimals: number }[];
}

/** The key of receipts, with its certificate and its private half. */
export interface Signer {
  publicKey: Hex;
  payee: Address;
  expires: number;
  signature: Hex;
  secret: string;
  channelId?: Hex;
  binding?: Hex;
}

export type Recover = (digest: Uint8Array, signature: Uint8Array) => string;

/** A request as adapters show it. */
export interface Asked {
  method: string;
  /** With the site's own origin. */
  url: string;
  header(name: string): string | null;
  /** What the framework has. */
  request: any;
}

export interface Rate {
  per: "byte" | "second" | "use";
  price: bigint;
}

export interface Quote {
  units: number;
  amount: bigint;
  rate: Rate | undefined;
}

export interface HeaderBag {
  get(name: string): string | null;
  set(name: string, value: string): void;
}

/** An answer that needs no handler. */
export interface Ready {
  status: number;
  headers: [string, string][];
  body: string | Uint8Array | null;
}

export type Entry = { ready: Ready } | { free: true; secret: boolean; headers?: [string, string][] } | { sale: Sale };

/** What the till needs of an engine. */
export interface Engine {
  readonly info: {
    readonly address: string;
    readonly signer?: string;
    readonly chainId: number;
    readonly contract: string;
    readonly connected: boolean;
    readonly hub: { readonly url: string; readonly assets: ReadonlyArray<{ asset: string; token: string; decimals: number }> };
  };
  on(name: "stream", listener: (event: { stream: IncomingStream }) => void): () => void;
  balances(): Promise<readonly { asset: string; token: string; available: bigint; receiving: bigint; receivable: bigint }[]>;
  payments(filter?: { direction: "received" }): Promise<readonly { token: string; stream?: { unitPrice: bigint; shown: number; paid: number } }[]>;
  signReceiptKey?(request: { publicKey: Hex; expiresIn: number }): Promise<{ payee: string; expires: number; signature: string; channelId?: string; binding?: string }>;
}

/** What the engine tells of a stream to us. */
export interface IncomingStream {
  readonly key: string;
  readonly condition: "hash-chain" | "voucher";
  readonly params: string;
  readonly asset: string;
  readonly token: string;
  readonly unitPrice: bigint;
  readonly units: number;
  /** Milliseconds since 1970. */
  readonly revealBy: number;
  readonly ended: boolean;
  readonly proved: number;
  onend?: (() => unknown) | undefined;
  take(shown: { to: number; word: string }): number;
  giveUp(): Promise<void>;
}
