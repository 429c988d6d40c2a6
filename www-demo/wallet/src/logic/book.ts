// What becomes of a request, from what is on record. A tip that was allowed once is never allowed again.

import { same, type Grant, type GrantRequest } from "./request.ts";
import { Refused, type Hex } from "./shapes.ts";

/**
 * `allowed`: the reader said yes, and the engine was or will be asked; the outcome is not known. `granted`: the stream
 * stands. `failed`: it does not, and no money moved. `ended`: it is over.
 */
export type State = "allowed" | "granted" | "failed" | "ended";

export interface GrantRecord {
  readonly request: GrantRequest;
  readonly origin: string;
  /** The engine's id of the stream: with the same one it is never placed twice. */
  readonly streamId: Hex;
  readonly symbol: string;
  readonly decimals: number;
  readonly state: State;
  readonly at: number;
  readonly grant?: Grant;
  /** Units, as last seen. */
  readonly paid: number;
  /** Whether the site was answered. */
  readonly answered: boolean;
}

export type Next =
  /** Ask the reader. */
  | { readonly next: "ask" }
  /** The reader said yes before, but the window was gone before it was known what came of it. */
  | { readonly next: "resume"; readonly record: GrantRecord }
  /** It stands already: the same answer again, to the same origin, moves nothing. */
  | { readonly next: "again"; readonly record: GrantRecord; readonly grant: Grant };

/** `byId` and `byTip` are what the records have under the request's id and tip. Throws {@link Refused}. */
export function next(request: GrantRequest, origin: string, byId: GrantRecord | undefined, byTip: GrantRecord | undefined): Next {
  if (byId === undefined && byTip === undefined) return { next: "ask" };
  if (byId === undefined || byTip === undefined) {
    if (byTip !== undefined) throw new Refused("tip-used", "The site sent a request that was used before. Go back and ask again: it has to make a new one.");
    throw new Refused("bad-request", "A request with this id came before, for something else.");
  }
  if (byId.origin !== origin || !same(byId.request, request)) {
    throw new Refused("bad-request", "This request came before, from another page or with other terms.");
  }
  switch (byId.state) {
    case "allowed":
      return { next: "resume", record: byId };
    case "granted":
      if (byId.grant === undefined) return { next: "resume", record: byId };
      return { next: "again", record: byId, grant: byId.grant };
    case "failed":
      throw new Refused("tip-used", "This request was tried before and failed. The site has to make a new one.");
    case "ended":
      throw new Refused("expired", "This grant is over. The site has to ask for a new one.");
  }
}

/** Whether a record's rest may still be spent. */
export const isOpen = (record: GrantRecord, now: number) =>
  (record.state === "allowed" || record.state === "granted") &&
  (record.grant === undefined ? record.at + record.request.expiresIn * 1_000 : record.grant.expiry * 1_000) > now;

/** One line for each site, the last allowed first. */
export interface Site {
  readonly origin: string;
  readonly title: string;
  readonly records: readonly GrantRecord[];
}

export function sites(records: readonly GrantRecord[]): Site[] {
  const byOrigin = new Map<string, GrantRecord[]>();
  const newest = records.filter(({ state }) => state !== "failed").sort((one, other) => other.at - one.at);
  for (const record of newest) byOrigin.set(record.origin, [...(byOrigin.get(record.origin) ?? []), record]);
  return [...byOrigin].map(([origin, list]) => ({ origin, title: list[0]?.request.title ?? origin, records: list }));
}

/** What was paid by these, by asset. */
export function paidBy(records: readonly GrantRecord[]): Array<{ symbol: string; decimals: number; asset: Hex; units: bigint }> {
  const sums = new Map<Hex, { symbol: string; decimals: number; asset: Hex; units: bigint }>();
  for (const { request, symbol, decimals, paid } of records) {
    const sum = sums.get(request.asset) ?? { symbol, decimals, asset: request.asset, units: 0n };
    sums.set(request.asset, { ...sum, units: sum.units + request.unitPrice * BigInt(paid) });
  }
  return [...sums.values()];
}
