// Amounts as people write them, beside viem's.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as viem from "viem";
import { farthing } from "../support/env.mjs";
import { settings } from "../support/properties.mjs";

const { formatUnits, parseUnits } = await farthing();

const decimals = fc.constantFrom(0, 1, 2, 6, 8, 18, 24, 77, 255);
const digits = fc.stringMatching(/^[0-9]{0,40}$/);
const written = fc.tuple(fc.constantFrom("", "-"), digits, fc.constantFrom("", "."), digits).map(([sign, whole, point, part]) => sign + whole + point + (point === "" ? "" : part));

test("what is parsed is what viem makes of it, where nothing has to be rounded; the rest is refused", () => {
  fc.assert(fc.property(written, decimals, (text, count) => {
    const [whole, part = ""] = text.replace("-", "").split(".");
    const exact = whole + part !== "" && !/[1-9]/.test(part.slice(count));
    if (exact) return assert.equal(parseUnits(text, count), viem.parseUnits(text, count));
    assert.throws(() => parseUnits(text, count), { name: "FarthingError", code: "invalid-amount" });
    return undefined;
  }), settings(2_000));
});

test("what is formatted is what viem makes of it, and parses back", () => {
  fc.assert(fc.property(fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }), decimals, (value, count) => {
    const text = formatUnits(value, count);
    assert.equal(text, viem.formatUnits(value, count));
    assert.equal(parseUnits(text, count), value);
  }), settings(2_000));
});

test("texts that are no amounts are refused, whatever they are", () => {
  const no = ["", ".", "-", "-.", "1e18", "0x10", "1,5", "1 000", " 1", "1 ", "+1", "--1", "1.2.3", "Infinity", "NaN", "\u0661", "1n", "1_000", "1\n"];
  for (const text of no) assert.throws(() => parseUnits(text, 18), { code: "invalid-amount" }, JSON.stringify(text));
  for (const value of [1, 1n, null, undefined, {}, ["1"]]) assert.throws(() => parseUnits(value, 18), { code: "invalid-amount" });
  for (const value of [1, "1", null, undefined, 1.5]) assert.throws(() => formatUnits(value, 18), { code: "invalid-amount" });
  for (const count of [-1, 1.5, 256, "18", 18n, NaN, undefined]) {
    assert.throws(() => parseUnits("1", count), { code: "invalid-argument" });
    assert.throws(() => formatUnits(1n, count), { code: "invalid-argument" });
  }
  fc.assert(fc.property(fc.string(), (text) => {
    if (/^-?(\d+\.?\d*|\.\d+)$/.test(text)) return;
    assert.throws(() => parseUnits(text, 255), { code: "invalid-amount" });
  }), settings(2_000));
});

test("some that people write", () => {
  assert.equal(parseUnits("0.05", 18), 50_000_000_000_000_000n);
  assert.equal(parseUnits("1.000", 0), 1n);
  assert.equal(parseUnits(".5", 6), 500_000n);
  assert.throws(() => parseUnits("0.0000001", 6), /more than 6 decimals/);
  assert.equal(formatUnits(-1n, 18), "-0.000000000000000001");
  assert.equal(formatUnits(10n ** 24n, 24), "1");
});
