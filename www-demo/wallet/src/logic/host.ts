// What whoever hosts this page says of it, in `config.json` beside it, checked.

import { consistent, type Limits } from "./limits.ts";
import { parse } from "./money.ts";

/** Amounts as people write them, by what each limit is called. */
export type HostLimits = Readonly<Record<keyof Limits, string>>;

export interface Host {
  /** The hub's URL. */
  readonly hub: string;
  /** A node's URL; without it the injected wallet is the node. */
  readonly rpc?: string;
  /** What the page calls itself. */
  readonly name?: string;
  /** What a reader starts with, by the asset's symbol. */
  readonly limits?: Readonly<Record<string, HostLimits>>;
  /** Where test money comes from, on a chain where it is worth nothing. */
  readonly faucet?: string;
  /** Whether a key may be made and kept in this browser. */
  readonly browserKey?: boolean;
}

const FIELDS = ["hub", "rpc", "name", "limits", "faucet", "browserKey"];
const LIMITS = ["perGrant", "perSite", "perDay"] as const;

export class NotSetUp extends Error {
  constructor(what: string) {
    super(`This page is not set up: its host has to mend the config.json beside it. ${what}`);
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

const isUrl = (value: unknown): value is string => typeof value === "string" && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);

/** Letters and what goes with them: nothing that turns the text around it or can't be seen. */
const isName = (value: unknown): value is string => typeof value === "string" && /^[\p{L}\p{N}][\p{L}\p{M}\p{N} .,&’'()–-]{0,39}$/u.test(value);

function demandLimits(given: unknown): void {
  if (!isRecord(given)) throw new NotSetUp("limits is no object.");
  for (const [symbol, limits] of Object.entries(given)) {
    const names = isRecord(limits) ? Object.keys(limits) : [];
    if (names.length !== LIMITS.length || !LIMITS.every((name) => names.includes(name))) throw new NotSetUp(`limits.${symbol} needs ${LIMITS.join(", ")}.`);
    const amounts = limits as Record<string, unknown>;
    for (const name of LIMITS) {
      if (typeof amounts[name] !== "string" || !/^\d{1,20}(\.\d{1,18})?$/.test(amounts[name])) throw new NotSetUp(`limits.${symbol}.${name} is no amount such as "0.25".`);
    }
    // As fine as any asset that is written so.
    const wrong = consistent(limitsOf(amounts as HostLimits, 18));
    if (wrong !== undefined) throw new NotSetUp(`limits.${symbol}: ${wrong}`);
  }
}

/** Base units of an asset; what is finer than the asset is cut off. */
export function limitsOf(limits: HostLimits, decimals: number): Limits {
  const units = (text: string) => {
    const [whole = "0", rest = ""] = text.split(".");
    return parse(`${whole}.${rest.slice(0, decimals)}`.replace(/\.$/, ""), decimals);
  };
  return { perGrant: units(limits.perGrant), perSite: units(limits.perSite), perDay: units(limits.perDay) };
}

/** Refuses what is not understood: a limit that is misspelt would not be one. */
export function hostOf(given: unknown): Host {
  if (!isRecord(given)) throw new NotSetUp("It is no JSON object.");
  const unknown = Object.keys(given).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) throw new NotSetUp(`“${unknown.slice(0, 40)}” in it is nothing that this page knows.`);
  if (!isUrl(given.hub)) throw new NotSetUp("hub is no URL.");
  if (given.rpc !== undefined && !isUrl(given.rpc)) throw new NotSetUp("rpc is no URL.");
  if (given.name !== undefined && !isName(given.name)) throw new NotSetUp("name is up to 40 letters, digits and spaces.");
  if (given.faucet !== undefined && typeof given.faucet !== "string") throw new NotSetUp("faucet is no address.");
  if (given.browserKey !== undefined && typeof given.browserKey !== "boolean") throw new NotSetUp("browserKey is true or false.");
  if (given.limits !== undefined) demandLimits(given.limits);
  return given as unknown as Host;
}
