// The wallet's window on the wire: requests for a grant, and the answers. `docs/content.md` is the contract.

import { Refused, address, amount, count, fields, hex, line, type AnswerCode, type Hex } from "./shapes.ts";

export interface GrantRequest {
  readonly id: Hex;
  readonly payee: Hex;
  readonly hub: string;
  readonly network: string;
  readonly contract: Hex;
  readonly asset: Hex;
  readonly unitPrice: bigint;
  readonly units: number;
  readonly tip: Hex;
  /** Seconds. */
  readonly expiresIn: number;
  readonly title: string;
  readonly reason?: string;
  readonly returnTo?: string;
}

export interface Grant {
  readonly key: Hex;
  readonly tip: Hex;
  readonly payee: Hex;
  readonly network: string;
  readonly contract: Hex;
  readonly hub: string;
  readonly asset: Hex;
  readonly unitPrice: string;
  readonly units: number;
  /** Unix seconds. */
  readonly expiry: number;
  readonly symbol: string;
  readonly decimals: number;
}

export type Answer =
  | { readonly v: 1; readonly type: "farthing-grant"; readonly id: Hex; readonly grant: Grant }
  | { readonly v: 1; readonly type: "farthing-grant"; readonly id: Hex; readonly error: { readonly code: AnswerCode; readonly message: string } };

export type Way = "popup" | "redirect";

export const MOST_UNITS = 16_384;
const LEAST_SECONDS = 300;
const MOST_SECONDS = 366 * 24 * 3_600;
/** Characters of an answer's message. */
const LONGEST_MESSAGE = 300;
/** Characters of a fragment. */
const LONGEST = 8_192;

const REQUIRED = ["v", "type", "id", "payee", "hub", "network", "contract", "asset", "unitPrice", "units", "tip", "expiresIn", "title"];

/** Refuses what is not exactly a request; throws {@link Refused}. */
export function readRequest(value: unknown, way: Way): GrantRequest {
  const given = fields(value, way === "redirect" ? [...REQUIRED, "returnTo"] : REQUIRED, ["reason"]);
  if (given.v !== 1) throw new Refused("bad-request", "The request is of a version that this wallet does not know.");
  if (given.type !== "farthing-grant-request") throw new Refused("bad-request", "This is no request for a grant.");
  const request = {
    id: hex(given.id, 16, "id"),
    payee: hex(given.payee, 20, "payee"),
    // As it was written: it goes back so in the grant.
    hub: link(given.hub, "hub"),
    network: network(given.network),
    contract: hex(given.contract, 20, "contract"),
    asset: hex(given.asset, 20, "asset"),
    unitPrice: amount(given.unitPrice, "unitPrice"),
    units: count(given.units, 1, MOST_UNITS, "units"),
    tip: hex(given.tip, 32, "tip"),
    expiresIn: count(given.expiresIn, LEAST_SECONDS, MOST_SECONDS, "expiresIn"),
    title: line(given.title, 80, "title"),
    ...(given.reason === undefined ? {} : { reason: line(given.reason, 120, "reason") }),
    ...(way === "redirect" ? { returnTo: link(given.returnTo, "returnTo") } : {}),
  };
  if (request.unitPrice * BigInt(request.units) >= 2n ** 128n) throw new Refused("bad-request", "The whole costs more than there can be.");
  return request;
}

const link = (value: unknown, name: string) => (address(value, name), value as string);

/** Whether two say the same place. */
export const samePlace = (one: string, other: string) => new URL(one).href === new URL(other).href;

function network(value: unknown): string {
  if (typeof value !== "string" || !/^eip155:[1-9][0-9]{0,15}$/.test(value)) throw new Refused("bad-request", `"network" must be "eip155:" and a chain's id.`);
  return value;
}

/** The most that the request can cost. */
export const costOf = (request: Pick<GrantRequest, "unitPrice" | "units">) => request.unitPrice * BigInt(request.units);

/** What the address of the wallet page says it was opened for. */
export type Opened =
  | { readonly way: "popup"; readonly id: Hex }
  | { readonly way: "redirect"; readonly text: string }
  | { readonly way: "none" };

/** Reads `location.hash`. Throws {@link Refused} where it begins like a request and is none. */
export function opened(hash: string): Opened {
  const popup = /^#farthing-popup=(.*)$/s.exec(hash);
  if (popup !== null) return { way: "popup", id: hex(popup[1], 16, "id") };
  const redirect = /^#farthing-request=(.*)$/s.exec(hash);
  if (redirect !== null) return { way: "redirect", text: redirect[1] ?? "" };
  return { way: "none" };
}

/** The request that a redirect carries. */
export function decode(text: string): unknown {
  const bad = () => new Refused("bad-request", "The address does not carry a readable request.");
  if (text.length > LONGEST || !/^[A-Za-z0-9_-]+$/.test(text)) throw bad();
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw bad();
  }
}

/** JSON as base64url, without padding. */
export function encode(value: unknown): string {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export const granted = (id: Hex, grant: Grant): Answer => ({ v: 1, type: "farthing-grant", id, grant });

export function refused(id: Hex, code: AnswerCode, message: string): Answer {
  const said = message.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").trim();
  const cut = said.length > LONGEST_MESSAGE ? `${said.slice(0, LONGEST_MESSAGE - 1)}…` : said;
  return { v: 1, type: "farthing-grant", id, error: { code, message: cut } };
}

/** Where a redirect goes home to. What was in the fragment is kept. */
export function homeward(returnTo: string, answer: Answer): string {
  const url = new URL(returnTo);
  const was = url.hash.slice(1);
  url.hash = `farthing-grant=${encode(answer)}${was === "" ? "" : `&farthing-was=${encodeURIComponent(was)}`}`;
  return url.href;
}

/** The same request, field by field: what may go on where an earlier window stopped. Where it returns to may be another page. */
export function same(one: GrantRequest, other: GrantRequest): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof GrantRequest>;
  names.delete("returnTo");
  return [...names].every((name) => one[name] === other[name]);
}
