// How much the reader lets go, by asset. Checked before anything is signed; only the reader changes it.

/** Base units. */
export interface Limits {
  /** For one approval. */
  readonly perGrant: bigint;
  /** For one site in thirty days. */
  readonly perSite: bigint;
  /** For all sites in a day. */
  readonly perDay: bigint;
}

export type LimitName = keyof Limits;

/** A grant that was allowed, as far as limits go. */
export interface Allowed {
  readonly origin: string;
  readonly asset: string;
  readonly unitPrice: bigint;
  readonly units: number;
  /** Units that the payee has or was shown. */
  readonly paid: number;
  /** Whether the rest can still be spent. */
  readonly open: boolean;
  /** When it was allowed, milliseconds. */
  readonly at: number;
}

export const DAY = 24 * 3_600_000;
export const MONTH = 30 * DAY;

const STABLE = /^(DAI|USDC|USDT|USDS|PYUSD|LUSD|GHO|FRAX|EURC|EURS)$/i;

/** What a reader starts with: about a euro, five, ten. Assets whose worth is not known start with nothing. */
export function defaults(symbol: string, decimals: number): Limits {
  const one = 10n ** BigInt(decimals);
  if (STABLE.test(symbol)) return { perGrant: one, perSite: 5n * one, perDay: 10n * one };
  if (/^W?ETH$/i.test(symbol)) return { perGrant: one / 2_000n, perSite: one / 400n, perDay: one / 200n };
  return { perGrant: 0n, perSite: 0n, perDay: 0n };
}

/** What a grant takes of the limits: all of it while it is open, and later what was paid. */
export const taken = (grant: Allowed) => grant.unitPrice * BigInt(grant.open ? grant.units : grant.paid);

export type Verdict =
  | { readonly fits: true }
  | { readonly fits: false; readonly limit: LimitName; readonly most: bigint; readonly used: bigint };

/** Whether a cost fits, and if not, which limit says so first. */
export function judge(asked: { origin: string; asset: string; cost: bigint; now: number; limits: Limits; grants: readonly Allowed[] }): Verdict {
  const { origin, asset, cost, now, limits } = asked;
  const grants = asked.grants.filter((grant) => grant.asset === asset);
  const sum = (some: readonly Allowed[]) => some.reduce((total, grant) => total + taken(grant), 0n);
  // An open grant counts whenever it was allowed: it can still be spent.
  const within = (span: number) => grants.filter((grant) => grant.open || grant.at > now - span);
  const used: Readonly<Record<LimitName, bigint>> = {
    perGrant: 0n,
    perSite: sum(within(MONTH).filter((grant) => grant.origin === origin)),
    perDay: sum(grants.filter((grant) => grant.at > now - DAY)),
  };
  for (const limit of ["perGrant", "perSite", "perDay"] as const) {
    if (used[limit] + cost > limits[limit]) return { fits: false, limit, most: limits[limit], used: used[limit] };
  }
  return { fits: true };
}

/** What must be raised so that the cost fits, and nothing else. */
export function raised(limits: Limits, verdict: Verdict & { fits: false }, cost: bigint): Limits {
  return { ...limits, [verdict.limit]: verdict.used + cost };
}

/** Limits that make no sense together are refused: a part can't be more than its whole. */
export function consistent(limits: Limits): string | undefined {
  if (limits.perGrant > limits.perSite) return "One approval can't be more than one site may have.";
  if (limits.perGrant > limits.perDay) return "One approval can't be more than a day may cost.";
  return undefined;
}
