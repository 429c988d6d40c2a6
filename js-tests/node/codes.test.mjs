// Every code that an error can have is provoked by some test, or can't be, and then it is said why.

import assert from "node:assert/strict";
import { test } from "node:test";
import { UNREACHABLE, provocations } from "../support/codes.mjs";
import { farthing } from "../support/env.mjs";

const { errorCodes } = await farthing();

test("every code has a test that provokes it", async () => {
  const [codes, found] = [await errorCodes(), provocations()];
  assert.deepEqual(codes.filter((code) => !found.has(code) && !UNREACHABLE.has(code)), [], "no test provokes these");
  assert.deepEqual([...UNREACHABLE.keys()].filter((code) => found.has(code) || !codes.includes(code)), [], "these are called unreachable, and are not");
  assert.ok(codes.length > 60 && new Set(codes).size === codes.length);
});

test("a code that nobody provokes is found", () => {
  assert.equal(provocations().has("no-such-code"), false);
});
