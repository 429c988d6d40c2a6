// What strangers send is checked here, field by field, before anything is made of it.

export type Hex = `0x${string}`;

/** Codes of the answers that move no money. `docs/content.md` has the table. */
export type AnswerCode =
  | "denied" | "closed" | "blocked" | "busy" | "bad-request" | "tip-used" | "no-capacity" | "no-money" | "no-channel"
  | "over-limit" | "other-hub" | "unavailable" | "expired";

/** A request that is answered with a refusal. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly code: AnswerCode;
  constructor(code: AnswerCode, message: string) {
    super(message);
    this.code = code;
  }
}

const bad = (message: string) => new Refused("bad-request", message);

/** An object with these fields and no others. */
export function fields(value: unknown, required: readonly string[], optional: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad("The request is no object.");
  const names = Object.keys(value);
  const missing = required.find((name) => !names.includes(name));
  if (missing !== undefined) throw bad(`The request has no "${missing}".`);
  const unknown = names.find((name) => !required.includes(name) && !optional.includes(name));
  if (unknown !== undefined) throw bad(`The request has a field that is not known here: "${unknown.slice(0, 40)}".`);
  return value as Record<string, unknown>;
}

/** So many bytes in lower-case hex. */
export function hex(value: unknown, bytes: number, name: string): Hex {
  if (typeof value !== "string" || !/^0x[0-9a-f]*$/.test(value) || value.length !== 2 + 2 * bytes) {
    throw bad(`"${name}" must be 0x and ${2 * bytes} lower-case hex digits.`);
  }
  return value as Hex;
}

/** A whole number within bounds. */
export function count(value: unknown, least: number, most: number, name: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw bad(`"${name}" must be a whole number from ${least} to ${most}.`);
  }
  return value;
}

/** A positive decimal string below 2^128. */
export function amount(value: unknown, name: string): bigint {
  if (typeof value !== "string" || !/^[1-9][0-9]{0,38}$/.test(value)) throw bad(`"${name}" must be a positive decimal string.`);
  const units = BigInt(value);
  if (units >= 2n ** 128n) throw bad(`"${name}" is too large.`);
  return units;
}

// Control characters, line breaks, and what turns the direction of writing: they could make a line say something else.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/u;

// Marks upon marks reach over the lines above, whatever is written there. No language needs so many on one letter.
const PILED = /\p{M}{5}/u;

/** One line for the reader. */
export function line(value: unknown, most: number, name: string): string {
  if (typeof value !== "string" || value.trim() === "" || value.length > most) {
    throw bad(`"${name}" must be a text of 1 to ${most} characters.`);
  }
  if (UNSEEN.test(value)) throw bad(`"${name}" has characters that can't be seen.`);
  if (PILED.test(value)) throw bad(`"${name}" has letters with too many marks.`);
  return value.trim();
}

/** An address of the web over TLS, or on this machine. */
export function address(value: unknown, name: string): URL {
  const wrong = bad(`"${name}" must be an https address.`);
  if (typeof value !== "string" || value.length > 2_048 || !URL.canParse(value)) throw wrong;
  const url = new URL(value);
  if (!isWeb(url) || url.username !== "" || url.password !== "") throw wrong;
  return url;
}

const LOOPBACK = /^(localhost|([a-z0-9-]+\.)*localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** `https:`, or `http:` of this machine, which nobody on the way can change. */
export const isWeb = (url: URL) => url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.test(url.hostname));
