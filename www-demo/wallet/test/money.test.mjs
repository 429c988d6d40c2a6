import assert from "node:assert/strict";
import { test } from "node:test";
import { exact, parse, people } from "../src/logic/money.ts";

const E = (text) => parse(text, 18);

test("amounts are shown with at most six digits, and rounded towards what can't disappoint", () => {
  for (const [units, down, up] of [
    ["0", "0", "0"],
    ["0.25", "0.25", "0.25"],
    ["1234.5678901", "1234.56", "1234.57"],
    ["0.1234567", "0.123456", "0.123457"],
    ["999999.9", "999999", "1 million"],
    ["0.9999999", "0.999999", "1"],
    ["9.9999999", "9.99999", "10"],
    ["1000000", "1 million", "1 million"],
    ["3100000.5", "3.1 million", "3.10001 million"],
    ["12345678901", "12.3456 billion", "12.3457 billion"],
    ["0.000001", "0.000001", "0.000001"],
    ["0.0000009", "< 0.000001", "< 0.000001"],
  ]) {
    assert.equal(people(E(units), 18, "down"), down, units);
    assert.equal(people(E(units), 18, "up"), up, units);
  }
  assert.equal(people(-E("0.1234567"), 18, "down"), "-0.123457");
});

test("whatever the amount, six digits are enough, and it is never shown as more than there is", () => {
  for (let power = 0n; power < 38n; power += 1n) {
    for (const factor of [1n, 9n, 123456789n, 999999999n]) {
      const units = factor * 10n ** power;
      for (const decimals of [0, 6, 18]) {
        const text = people(units, decimals, "down");
        const digits = text.replace(/\D/g, "").replace(/^0+/, "");
        assert.ok(digits.length <= 6, `${units} / ${decimals}: ${text}`);
        if (/^[\d.]+$/.test(text)) assert.ok(parse(text, decimals) <= units, text);
      }
    }
  }
});

test("what is typed is read exactly, or refused with words for the reader", () => {
  assert.equal(parse("0.25", 6), 250_000n);
  assert.equal(parse(" 1,5 ", 6), 1_500_000n);
  assert.equal(parse("7", 0), 7n);
  for (const text of ["", "-1", "1e3", "0x1", "1.", ".5", "1 000", "٣", "1.2.3", "NaN"]) assert.throws(() => parse(text, 6), RangeError, text);
  assert.throws(() => parse("0.0000001", 6), /at most 6 decimals/);
  assert.throws(() => parse("1".repeat(60), 0), /No asset has so much/);
  for (const units of [0n, 1n, 10n ** 18n, 123n]) assert.equal(parse(exact(units, 18), 18), units);
});
