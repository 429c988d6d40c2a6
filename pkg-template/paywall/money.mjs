// Amounts as people read them.
// @ts-check

/** Digits that a person is shown. */
const DIGITS = 6;

/**
 * An amount with at most six significant digits, rounded up, so that nobody pays more than was shown: `0.0025 DAI`.
 * @param {bigint} amount @param {number} decimals @param {string} symbol
 */
export function shown(amount, decimals, symbol) {
  const digits = amount.toString();
  const extra = digits.length - DIGITS;
  const unit = 10n ** BigInt(Math.max(extra, 0));
  const rounded = ((amount + unit - 1n) / unit) * unit;
  const text = rounded.toString().padStart(decimals + 1, "0");
  const whole = text.slice(0, text.length - decimals);
  const part = decimals === 0 ? "" : text.slice(text.length - decimals).replace(/0+$/, "");
  return `${whole.replace(/\B(?=(\d{3})+$)/g, "\u202f")}${part && `.${part}`} ${symbol}`;
}
