/**
 * `farthing/pay`: a `fetch` that pays, for the pages of a site. No wasm, no wallet of its own: the reader's wallet page
 * grants the site once what it may spend, and from then on a request carries its payment, in one round trip.
 *
 * ```ts
 * import { payer } from "farthing/pay";
 *
 * const pay = payer({ wallet: "https://wallet.example/", title: "The Farthing Post" });
 * const response = await pay.fetch("/articles/7");
 * ```
 *
 * Money is a `bigint` of base units, times are milliseconds since 1970. Every failure is a {@link PayError} with a stable
 * code; its message says whether money moved. It needs IndexedDB, Web Locks and Web Crypto, as every browser has them on
 * `https:` and `localhost`.
 *
 * @packageDocumentation
 */

/** `0x` and hex digits. */
export type Hex = `0x${string}`;
/** `0x` and 40 hex digits, in lower case. */
export type Address = Hex;

/** What a server refuses a payment with. Nothing was charged. */
export type RefusalCode =
  | "payment-required" | "bad-payment" | "unknown-stream" | "stream-ended" | "wrong-terms" | "wrong-resource" | "bad-word"
  | "price-changed" | "interval-spent" | "id-reused" | "in-progress" | "paywall-unavailable";

/** Why there is no grant. No money moved. */
export type WalletCode =
  | "denied" | "closed" | "blocked" | "busy" | "bad-request" | "tip-used" | "no-capacity" | "no-money" | "no-channel" | "over-limit"
  | "other-hub" | "unavailable" | "expired";

/** Why paying failed. Each code keeps its meaning for ever; new ones may come. */
export type PayCode =
  | RefusalCode
  | WalletCode
  /** What a server or a wallet said can't be read. */
  | "bad-answer"
  /** An argument of the application. */
  | "invalid-argument"
  /** The price is above the application's own limit. */
  | "too-expensive"
  /** The body of the request was a stream, and is gone: the same request again, with a new one, carries its payment. */
  | "unrepeatable"
  /** The payment was sent and there was no answer: the same request again pays nothing new. */
  | "unanswered"
  /** This browser keeps nothing here (a private window, or storage is full or refused). */
  | "storage-failed"
  /** The platform lacks what is needed, or there is no window to ask the reader in. */
  | "unsupported";

/** What a failed call rejects with. */
export interface PayError extends Error {
  readonly name: "FarthingError";
  readonly code: PayCode;
  /** Of `too-expensive`, `blocked` and whatever else comes after the price is known. */
  readonly terms?: Terms;
  /** Of a payment that was made, or may have been. */
  readonly paymentId?: Hex;
  readonly cause?: unknown;
}

/** What a server asks for. */
export interface Terms {
  /** `eip155:` and the chain's id. */
  network: string;
  /** The token; the zero address is ETH. */
  asset: Address;
  /** The most that this request costs: `units · unitPrice`. */
  amount: bigint;
  payTo: Address;
  /** The server answers within so many seconds. */
  maxTimeoutSeconds: number;
  hub: string;
  contract: Address;
  unitPrice: bigint;
  units: number;
  /** What a new grant should have at least. */
  minUnits: number;
  symbol: string;
  decimals: number;
  /** The wallet page that the site suggests. */
  wallet?: string | undefined;
  /** The origin that asks, by the payer's own word: what was granted for its terms pays nobody else's. */
  site?: string | undefined;
}

/** `PAYMENT-REQUIRED`. */
export interface Required {
  /** Why a payment was refused. */
  code?: string | undefined;
  /** As the server describes it, unchecked. */
  resource?: { readonly [name: string]: unknown } | undefined;
  /** Those of this scheme. */
  terms: Terms[];
  /** What the server holds as spent of the stream that the payment named. */
  stream?: { key: Hex; spent: [from: number, to: number][] } | undefined;
}

/** `PAYMENT-SIGNATURE`: spends the units `(from, to]`. */
export interface Payment {
  network: string;
  asset: Address;
  payTo: Address;
  key: Hex;
  from: number;
  to: number;
  /** `word(to)`, 32 bytes; of a voucher 65. */
  word: Hex;
  id: Hex;
  bind: Hex;
}

/** `PAYMENT-RESPONSE`. */
export interface Answer {
  network: string;
  amount: bigint;
  key: Hex;
  id: Hex;
  from: number;
  to: number;
  /** Units, unless it is metered. */
  charged?: number | undefined;
  /** What it costs is known at the end. */
  metered?: true | undefined;
  /** Unchecked: whoever believes it verifies it first. */
  receipt?: SignedReceipt | undefined;
}

/** What the server signs. */
export interface SignedReceipt {
  /** Base64url of a {@link Receipt}'s canonical JSON. */
  payload: string;
  /** Ed25519, 64 bytes. */
  signature: Hex;
  /** Whom the payee lets sign. */
  signer: { publicKey: Hex; payee: Address; expires: number; signature: Hex };
}

/** What was sold. */
export interface Receipt {
  payee: Address;
  asset: Address;
  network: string;
  key: Hex;
  id: Hex;
  from: number;
  to: number;
  charged: number;
  unitPrice: bigint;
  method: string;
  url: string;
  /** Seconds. */
  at: number;
}

/** The `data` of an event `farthing` of a metered answer. `from`, `used` and `paid` are places in the stream. */
export interface Event {
  key: Hex;
  id: Hex;
  /** Where the first interval of the session begins. */
  from: number;
  /** Where the last one ends. */
  paid: number;
  /** Up to where the session's units are used. */
  used: number;
  /** Nothing more will be used: what is above `used` was not charged. */
  end?: true | undefined;
}

/** What a page asks a wallet for. */
export interface GrantRequest {
  id: Hex;
  payee: Address;
  hub: string;
  network: string;
  contract: Address;
  asset: Address;
  unitPrice: bigint;
  units: number;
  tip: Hex;
  /** Seconds. */
  expiresIn: number;
  title: string;
  reason?: string | undefined;
  /** Of a redirect: where the answer goes. */
  returnTo?: string | undefined;
}

/** A stream that a wallet placed for a chain of this site's. */
export interface Grant {
  key: Hex;
  tip: Hex;
  payee: Address;
  network: string;
  contract: Address;
  hub: string;
  asset: Address;
  unitPrice: bigint;
  /** As many as were asked for, or fewer. */
  units: number;
  /** Seconds. */
  expiry: number;
  symbol: string;
  decimals: number;
}

/** What a wallet answers. */
export interface GrantAnswer {
  id: Hex;
  grant?: Grant;
  error?: PayError;
}

/** What was paid for a request. */
export interface Spent {
  id: Hex;
  key: Hex;
  url: string;
  method: string;
  /** Charged; of a metered answer what was used since the last time. */
  units: number;
  amount: bigint;
  asset: Address;
  symbol: string;
  decimals: number;
  receipt?: SignedReceipt | undefined;
}

/** An answer that is paid for as it comes. */
export interface Meter {
  /** Units that the server was shown, and those of them that it used. */
  readonly paid: number;
  readonly used: number;
  readonly paused: boolean;
  /** Why no more is paid, where that was not meant. `resume()` tries again. */
  readonly error?: unknown;
  /** Pays no more: the server stops at what is paid. */
  pause(): void;
  resume(): void;
}

/** A `Response`, and what was paid for it. */
export interface PaidResponse extends Response {
  /** Absent if nothing was paid. */
  readonly payment?: Spent & { readonly meter?: Meter };
}

/** Options of one request. */
export interface PaymentInit {
  /**
   * 16 random bytes. The same id again, with the same request, pays nothing new, also after a restart. Without it a request
   * whose answer was lost is known again by its method, URL, body, and the headers that choose among answers.
   */
  id?: Hex;
  /** The most that it may cost, in base units. */
  most?: bigint;
  /** Whether a grant may be asked for; `true` unless it is said otherwise. With `false` it is `payment-required`. */
  ask?: boolean;
}

export interface PaidRequestInit extends RequestInit {
  payment?: PaymentInit;
}

/** Options of {@link payer}. */
export interface PayerOptions {
  /** The wallet page; by default the one that the site's server suggests. */
  wallet?: string;
  /** What the reader is asked for: by default the page's title. At most 80 letters. */
  title?: string;
  /** One line more, at most 120 letters. */
  reason?: string;
  /** How many units a grant should have; at least what the server wants, at most 16,384. */
  units?: number;
  /** Seconds that a grant should last; a week by default. */
  expiresIn?: number;
  /** The most that one request may cost, in base units. */
  perRequest?: bigint;
  /** How the wallet is asked. By default by pop-up, and by redirect where this page's policy cuts pop-ups off. */
  mode?: "popup" | "redirect";
}

/** A grant of which little is left: less than a tenth, or than one more request like the last one costs. */
export interface Low extends Grant {
  /** Units that can be spent. */
  left: number;
  /** What it was spent for last. */
  terms: Terms;
}

/** What there is of a grant. */
export interface GrantState {
  key: Hex;
  payee: Address;
  hub: string;
  network: string;
  asset: Address;
  symbol: string;
  decimals: number;
  unitPrice: bigint;
  units: number;
  /** Units that can be spent. */
  left: number;
  /** Base units that were charged, or may have been. */
  spent: bigint;
  /** Requests whose outcome is not known. */
  open: number;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

/** Made by {@link payer}. All tabs and workers of a site share its grants, and none spends what another one spent. */
export interface Payer {
  /**
   * As `fetch`, and pays. What the server refuses for good rejects with its code; a 402 of other schemes comes back as it is.
   * No payment follows a redirect to another origin.
   */
  fetch(input: string | URL | Request, init?: PaidRequestInit): Promise<PaidResponse>;
  /**
   * In a service worker: answers a GET or HEAD that may have to be paid for (an image, a part of a film, a page). Nobody can
   * be asked there: without a grant the server's 402 is the answer.
   */
  handle(event: { readonly request: Request; respondWith(response: Promise<Response>): void }): void;
  /** By redirect: what the wallet sent us back with, if that is how this page came to be. Its fragment is taken out of the address. */
  readonly returned: Promise<{ grant: Grant } | { error: PayError } | undefined>;
  /** Calls `listener` at each payment, of this site's other tabs and its worker too; returns a function that ends it. */
  on(name: "spent", listener: (spent: Spent) => void): () => void;
  /** Calls `listener` once for each grant that runs low, in each tab. */
  on(name: "low", listener: (low: Low) => void): () => void;
  /**
   * Asks for the grant that follows one which is low, so that the reader is asked while there is still something to pay by. Call
   * it from a click, with what the listener was told: windows open for nothing else. Rejects as `fetch` does where it is refused.
   */
  allow(low: Pick<Low, "key" | "terms">): Promise<void>;
  /** Of a response that is paid for as it comes. */
  meter(response: PaidResponse): Meter | undefined;
  /** What there is to spend. */
  state(): Promise<GrantState[]>;
  /**
   * Forgets one grant, or all: nothing more can be spent of it here. Then the site is asked to give back what is left, for ten
   * seconds at most; leaving the page does not take that back. `true` if it does so at once. `false` if there is one for which it
   * did not say so: what is left of that comes back when the site finds it idle, or when it expires.
   */
  end(key?: Hex): Promise<boolean>;
}

export declare function payer(options?: PayerOptions): Payer;
