// Base units and people's numbers. Money is a bigint everywhere; a text is made of it only to be read.

/** What a reader sees of an amount is rounded towards what can't disappoint: balances down, costs up. */
export type Rounding = "down" | "up";

const DIGITS = 6;
const SCALES: ReadonlyArray<readonly [digits: number, word: string]> = [
  [15, "quadrillion"],
  [12, "trillion"],
  [9, "billion"],
  [6, "million"],
];

/** Digits before the point beyond which an amount is only said to be more. */
const MOST = 21;

/** The whole amount, without trailing zeros. */
export function exact(units: bigint, decimals: number): string {
  const sign = units < 0n ? "-" : "";
  const digits = (units < 0n ? -units : units).toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const rest = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return `${sign}${whole}${rest === "" ? "" : `.${rest}`}`;
}

/** At most six digits that say something: `0.25`, `1234.56`, `3.1 million`, `< 0.000001`. */
export function people(units: bigint, decimals: number, rounding: Rounding = "down"): string {
  if (units < 0n) return `-${people(-units, decimals, rounding === "down" ? "up" : "down")}`;
  if (units === 0n) return "0";
  const whole = units / 10n ** BigInt(decimals);
  const length = whole === 0n ? 0 : whole.toString().length;
  if (length > MOST) return `> ${"9".repeat(DIGITS)} quadrillion`;
  const scale = length > DIGITS ? (SCALES.find(([digits]) => length > digits) ?? [0, ""]) : ([0, ""] as const);
  const shift = decimals + scale[0];
  const kept = Math.max(0, DIGITS - Math.max(0, length - scale[0]));
  // What is beyond the last digit that is shown.
  const step = shift > kept ? 10n ** BigInt(shift - kept) : 1n;
  const cut = units / step;
  const shown = (rounding === "up" && cut * step !== units ? cut + 1n : cut) * step;
  if (cut === 0n) return `< ${exact(step, shift)}`;
  const text = exact(shown, shift);
  // Rounding up can need a digit more than there was.
  if (text.replace(/\D/g, "").replace(/^0+/, "").length > DIGITS) return people(shown, decimals, rounding);
  return scale[1] === "" ? text : `${text} ${scale[1]}`;
}

/** Base units of what somebody typed. Throws a RangeError whose message is for the reader. */
export function parse(text: string, decimals: number): bigint {
  const match = /^(\d+)(?:[.,](\d+))?$/.exec(text.trim());
  if (match === null) throw new RangeError("Write the amount in digits, for example 0.25.");
  const [, whole = "", rest = ""] = match;
  if (rest.length > decimals) throw new RangeError(`This asset has at most ${decimals} decimals.`);
  const units = BigInt(whole + rest.padEnd(decimals, "0"));
  if (units >= 2n ** 128n) throw new RangeError("No asset has so much.");
  return units;
}
