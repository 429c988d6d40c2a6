/**
 * `farthing/paywall`: the server side of paying for content, for Node 22.13 and later. `docs/paywall.md` of the repository is
 * for whoever runs a site, `docs/content.md` has the wire.
 *
 * @example
 * ```ts
 * import { paywall, sqlite } from "farthing/paywall";
 *
 * const wall = await paywall({ client, store: sqlite("paywall.db"), origin: "https://news.example", asset: "DAI", unitPrice: 10n ** 15n });
 * const article = wall.route({ name: "article", price: 2n * 10n ** 15n });
 * app.get("/articles/:id", article.express(), (req, res) => res.send(render(req.params.id)));
 * ```
 *
 * @packageDocumentation
 */

import type { Address, Client, Hex } from "../index.js";

export type { Address, Hex };

/** Why a payment was refused. Nothing is charged by any. */
export type ProblemCode =
  | "payment-required" | "bad-payment" | "unknown-stream" | "stream-ended" | "wrong-terms" | "wrong-resource" | "bad-word" | "price-changed"
  | "interval-spent" | "id-reused" | "in-progress" | "session-ended" | "paywall-unavailable";

/** A mistake of the site's own, or a store that can't be opened. */
export declare class PaywallError extends Error {
  readonly code: "invalid-argument" | "storage-failed" | "not-paid" | "bad-receipt";
}

/** Which pages may read the answers: all, these origins, or none of other origins. Never with cookies, unless the site says so itself. */
export type Cors = "*" | readonly string[] | false;

/**
 * What a route costs, in base units of its asset: an amount, which must be whole units; a function of the request, whose amount is
 * rounded up to whole units (`0n` is free); by byte or second of the answer; or as its handler says with `payment.use(amount)`.
 */
export type Price =
  | bigint
  | ((request: any) => bigint | Promise<bigint>)
  | { readonly perByte: bigint }
  | { readonly perSecond: bigint }
  | { readonly used: true };

/** Another scheme of x402 beside ours. */
export interface OtherScheme {
  readonly scheme: string;
  /** Its entry of `accepts`. */
  readonly offer: object | ((request: any) => object | undefined | Promise<object | undefined>);
  /** Verifies and settles a payment of it: the decoded `PAYMENT-SIGNATURE`. */
  take(request: any, payment: unknown): Promise<{ readonly paid: boolean; readonly headers?: Readonly<Record<string, string>> }>;
}

/** What the engine says of the site; the till writes it into the store, so it is needed only where there is no till. */
export interface SiteInfo {
  readonly payTo: Address;
  readonly hub: string;
  readonly chainId: number;
  readonly contract: Address;
  readonly assets: ReadonlyArray<{ readonly symbol: string; readonly token: Address; readonly decimals: number }>;
}

/** Where sales are kept: {@link sqlite} or {@link postgres}. */
export interface Store {
  /** Who this process is, among those of the store. */
  readonly holder: string;
  /** Lets it go; the paywall's `close` does it. */
  end(): Promise<void>;
}

/** A store in a file, for the processes of one machine. `lease`: milliseconds after which what a dead process served may go on, 10,000 by default. */
export declare function sqlite(path: string, options?: { readonly lease?: number }): Store;

/** What the store needs of a pool of `pg`. */
export interface PgPool {
  connect(): Promise<any>;
  query(sql: string, values?: any[]): Promise<any>;
  on?(event: "error", listener: (error: Error) => void): unknown;
}

/** A store in PostgreSQL (12 or later), for processes on many machines. The pool stays the application's. */
export declare function postgres(pool: PgPool, options?: { readonly lease?: number }): Store;

/** Options of {@link paywall}. */
export interface PaywallOptions {
  readonly store: Store;
  /** The site's own scheme, host and port, as readers type it. Never taken from a request. */
  readonly origin: string;
  /** In one process of the site: the client whose account is paid. The others need only the store. */
  readonly client?: Client;
  readonly site?: SiteInfo;
  /** A symbol that the hub lists, or a token's address. */
  readonly asset: string;
  /** Base units of one unit. Routes can have their own. */
  readonly unitPrice: bigint;
  /** Units that a new grant should have at least. Default 100. */
  readonly minUnits?: number;
  /** A wallet page to suggest. */
  readonly wallet?: string;
  /** The site's name, for people. */
  readonly title?: string;
  /** Default `"*"`. */
  readonly cors?: Cors;
  readonly others?: readonly OtherScheme[];
  /** Seconds before its words would come too late (`revealBy`) from which a stream is taken no more. Default 60. */
  readonly margin?: number;
  /** How often and how long, in seconds, the same id gets what it has paid for. Default 16 times within a day. */
  readonly again?: { readonly times?: number; readonly seconds?: number };
  /** Of kept answers: the largest, all together, and for how long. Default 64 KiB, 64 MiB, an hour. */
  readonly keep?: { readonly bytes?: number; readonly total?: number; readonly seconds?: number };
  /** Seconds for which a metered answer waits for a further payment. Default 30. */
  readonly patience?: number;
  /** Seconds without a payment after which the rest of a stream goes back to its payer. Default two days. */
  readonly idle?: number;
  /** Seconds after its stream's expiry for which a sale is kept. Default 90 days. */
  readonly recordsFor?: number;
  /** Who signed a digest; by default the package's own module. For vouchers. */
  readonly recover?: (digest: Uint8Array, signature: Uint8Array) => string;
  /** Hears of what failed and was met: a store that can't be written, a word that the engine refuses. Default `console.error`. */
  readonly onError?: (error: unknown) => void;
}

/** Options of {@link Paywall.route}. */
export interface RouteOptions {
  /** In the report. */
  readonly name?: string;
  readonly price: Price;
  /** Who gets it free: subscribers, crawlers, a first article. Gets the request as the framework has it. */
  readonly free?: (request: any) => boolean | Promise<boolean>;
  readonly asset?: string;
  readonly unitPrice?: bigint;
  readonly minUnits?: number;
  /** Of a metered route: units that open it. Default 10. */
  readonly first?: number;
  /** Of a metered route: units before the end at which the reader is told. Default a third of `first`. */
  readonly margin?: number;
  readonly description?: string;
  readonly mimeType?: string;
  readonly others?: readonly OtherScheme[];
  /** Keep the answer for the same id, instead of running the handler again. Default: for methods other than GET and HEAD. */
  readonly keep?: boolean;
  /** Default 60. */
  readonly maxTimeoutSeconds?: number;
}

/** What a handler learns of the payment: Express has it as `req.payment`, Hono as `c.get("payment")`. */
export interface PaidRequest {
  readonly key: Hex;
  /** The same when the request comes again: a handler that must not act twice looks here. */
  readonly id: Hex;
  readonly from: number;
  readonly to: number;
  readonly unitPrice: bigint;
  /** 1, or more if it was served before. */
  readonly attempt: number;
  /** Charge fewer units than were sent, before the answer begins. */
  charge(units: number): void;
  /** Of a route with `{ used: true }`: counts base units, and waits until they are paid. Rejects with `not-paid` when they never are. */
  use(amount: bigint): Promise<void>;
}

/** Gets a request, and its payment unless it was free. */
export type Handler = (request: Request, payment: PaidRequest | undefined) => Response | Promise<Response>;

/** A priced route. */
export interface Route {
  handle(request: Request, handler: Handler): Promise<Response>;
  /** Also for plain `node:http`. */
  express(): (req: any, res: any, next: (error?: any) => void) => void;
  hono(): (context: any, next: () => Promise<void>) => Promise<Response | undefined>;
  next<Rest extends unknown[]>(handler: (request: Request, ...rest: Rest) => Response | Promise<Response>): (request: Request, ...rest: Rest) => Promise<Response>;
}

/** A site's paywall. */
export interface Paywall {
  route(options: RouteOptions): Route;
  /** Lets the store and the till go. Stop the server first. */
  close(): Promise<void>;
}

/** Opens a site's paywall. Bad options are refused with a {@link PaywallError}. */
export declare function paywall(options: PaywallOptions): Promise<Paywall>;

/** Options of {@link till}. */
export interface TillOptions {
  readonly client: Client;
  readonly store: Store;
  /** Seconds, as in {@link PaywallOptions}. */
  readonly idle?: number;
  readonly margin?: number;
  readonly onError?: (error: unknown) => void;
}

/** Joins the one process that has the client to the store, where it is not a server itself. It must run while the site sells. */
export declare function till(options: TillOptions): Promise<{ close(): Promise<void> }>;

/** What came in. Amounts are base units. */
export interface Report {
  readonly since: number;
  readonly until: number;
  readonly payTo: Address | undefined;
  readonly routes: Array<{
    readonly route: string;
    readonly asset: string;
    readonly token: Address;
    readonly decimals: number;
    /** Paid for, not charged, and neither yet: being served, or its process died and its payer has not come again. */
    requests: number;
    free: number;
    open: number;
    income: bigint;
  }>;
  /** What the engine says, or said to the till last. */
  readonly engine:
    | {
        readonly at: number;
        readonly connected: boolean;
        readonly assets: ReadonlyArray<{
          readonly asset: string;
          readonly token: Address;
          readonly decimals: number;
          /** Can be taken out now. */
          readonly withdrawable: bigint;
          readonly receiving: bigint;
          /** What the hub can still pay here; what bounds all open grants. */
          readonly capacity: bigint;
          /** By streams: proved by words, and settled. */
          readonly shown: bigint;
          readonly redeemed: bigint;
        }>;
      }
    | undefined;
}

export interface ReportOptions {
  readonly store: Store;
  /** If it is in this process. */
  readonly client?: any;
  /** Milliseconds since 1970. Default: today. */
  readonly since?: number;
  readonly until?: number;
}

/** The owner's report. `npx farthing paywall report` prints it. */
export declare function report(options: ReportOptions): Promise<Report>;

/** The report as lines for a terminal. */
export declare function reportLines(report: Report): string[];

/** A receipt as `PAYMENT-RESPONSE` has it. */
export interface Receipt {
  readonly payload: string;
  readonly signature: Hex;
  /** `channelId` and `binding` where the payee's account is not the signer itself. */
  readonly signer: { readonly publicKey: Hex; readonly payee: Address; readonly expires: number; readonly signature: Hex; readonly channelId?: Hex; readonly binding?: Hex };
}

/** What a receipt says. */
export interface SoldReceipt {
  readonly payee: Address;
  readonly asset: Address;
  readonly network: string;
  readonly key: Hex;
  readonly id: Hex;
  readonly from: number;
  readonly to: number;
  readonly charged: number;
  readonly unitPrice: bigint;
  readonly method: string;
  readonly url: string;
  /** Seconds since 1970. */
  readonly at: number;
}

export interface VerifyOptions {
  /** The address that signed a digest with a signature of 65 bytes. */
  readonly recover: (digest: Uint8Array, signature: Uint8Array) => string | Promise<string>;
  readonly chainId: number;
  readonly contract: Address;
  /** Only of this one. */
  readonly payee?: Address;
  /** Addresses that may certify for the payee, beside its own and the signer that it has bound. For payees that are contracts. */
  readonly signers?: readonly Address[];
}

/** What was sold, if the receipt is sound; rejects with `bad-receipt`. Alone in `farthing/paywall/verify`, for pages too. */
export declare function verifyReceipt(receipt: Receipt, options: VerifyOptions): Promise<SoldReceipt>;

/** {@link VerifyOptions.recover} by the package's own module, in Node. */
export declare function recover(digest: Uint8Array, signature: Uint8Array): Promise<string>;
