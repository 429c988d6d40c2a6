// Amounts as people write them, and back: the same as viem's, but what would have to be rounded is refused.
// @ts-check

import { fault } from "./faults.mjs";

/** The most decimals that an asset can have: its `decimals()` is a uint8. */
const MOST = 255;

/** @param {unknown} decimals @returns {asserts decimals is number} */
function checkDecimals(decimals) {
  if (!Number.isInteger(decimals) || /** @type {number} */ (decimals) < 0 || /** @type {number} */ (decimals) > MOST) {
    throw fault("invalid-argument", `decimals must be a whole number from 0 to ${MOST}, as info.hub.assets has it.`);
  }
}

/** @param {string} value @param {number} decimals */
export function parseUnits(value, decimals) {
  checkDecimals(decimals);
  if (typeof value !== "string") throw fault("invalid-amount", "An amount to parse is a string: what a number has lost can't be seen any more.");
  const [matched, sign, whole = "", part = ""] = /^(-?)(\d*)(?:\.(\d*))?$/.exec(value) ?? [];
  if (matched === undefined || whole + part === "") {
    throw fault("invalid-amount", "An amount is written in digits, with a point before its decimals: no exponent, no space, no comma, no sign but a minus.");
  }
  const kept = part.slice(0, decimals);
  if (/[1-9]/.test(part.slice(decimals))) throw fault("invalid-amount", `The amount has more than ${decimals} decimals, and is not rounded.`);
  const units = BigInt(whole + kept.padEnd(decimals, "0"));
  return sign === "-" ? -units : units;
}

/** @param {bigint} value @param {number} decimals */
export function formatUnits(value, decimals) {
  checkDecimals(decimals);
  if (typeof value !== "bigint") throw fault("invalid-amount", "An amount to format is a bigint of base units.");
  const digits = String(value < 0n ? -value : value).padStart(decimals + 1, "0");
  const [whole, part] = [digits.slice(0, digits.length - decimals), digits.slice(digits.length - decimals).replace(/0+$/, "")];
  return `${value < 0n ? "-" : ""}${whole}${part === "" ? "" : `.${part}`}`;
}
