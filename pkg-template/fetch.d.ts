/** What {@link Client.fetch} takes and gives. */

import type { Address, Asset, Client } from "./index.js";
import type { PaidRequestInit, PaidResponse } from "./pay/index.js";

export type { PaidRequestInit, PaidResponse };

/** So much of each asset, in base units, by the hub's symbol or the token's address; or of whatever asset. */
export type Amounts = bigint | Readonly<Record<Asset, bigint>>;

/** What is asked when a request would break a limit. */
export interface OverBudget {
  readonly limit: "perRequest" | "perSite" | "perDay";
  /** What the limit leaves. */
  readonly allowed: bigint;
  /** The origin that is paid. */
  readonly site: string;
  readonly asset: string;
  readonly token: Address;
  readonly amount: bigint;
}

/**
 * What `fetch` may spend, checked before anything is signed or shown. By default 0.10 a request, 2 a site and day, 10 a day of
 * a stablecoin (each 2,000th part of it in ETH), and nothing of other assets. A day begins at midnight UTC.
 */
export interface Budget {
  readonly perRequest?: Amounts;
  readonly perSite?: Amounts;
  readonly perDay?: Amounts;
  /** Called where a limit is in the way; only `true` lets this one request pass. */
  readonly ask?: (over: OverBudget) => boolean | Promise<boolean>;
}

/** What was spent at a site on one day. */
export interface Spending {
  readonly site: string;
  readonly asset: string;
  readonly token: Address;
  /** `2026-11-29`, UTC. */
  readonly day: string;
  /** Charged, or perhaps charged where the outcome is not known. */
  readonly amount: bigint;
  readonly requests: number;
}
