import assert from "node:assert/strict";
import { test } from "node:test";
import { almanacDay } from "../server/almanac.mjs";

const near = (value, wanted, by) => assert.ok(Math.abs(value - wanted) <= by, `${value} is not within ${by} of ${wanted}`);

test("days are as long as they are known to be", () => {
  near(almanacDay(172, 2026, 51.5).minutes, 16 * 60 + 38, 4);
  near(almanacDay(355, 2026, 51.5).minutes, 7 * 60 + 50, 4);
  near(almanacDay(79, 2026, 51.5).minutes, 12 * 60 + 8, 8);
  near(almanacDay(172, 2026, 51.5).height, 61.9, 0.3);
  assert.equal(almanacDay(172, 2026, 70).minutes, 1_440);
  assert.equal(almanacDay(355, 2026, 70).minutes, 0);
});

test("the moon is full when it was", () => {
  // 3 March 2026 is a total eclipse of the moon, 17 February one of the sun.
  const full = almanacDay(62, 2026, 51.5).moon;
  assert.equal(full.phase, "full moon");
  assert.ok(full.lit >= 97);
  assert.ok(almanacDay(48, 2026, 51.5).moon.lit <= 3);
});

test("each day of the year has a date of its own and times of a clock", () => {
  const days = Array.from({ length: 365 }, (_, index) => almanacDay(index + 1, 2026, 63.4));
  assert.equal(new Set(days.map(({ date }) => date)).size, 365);
  for (const { sunrise, noon, sunset } of days) for (const time of [sunrise, noon, sunset]) assert.match(time, /^([01]\d|2[0-3]):[0-5]\d$/);
});
