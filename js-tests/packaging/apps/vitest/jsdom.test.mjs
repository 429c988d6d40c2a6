// @vitest-environment jsdom
import { expect, test } from "vitest";
import * as farthing from "farthing";
import { payer } from "farthing/pay";
import { paywall } from "farthing/paywall";
import { probe } from "../shared/probe.mjs";

test("the package works", async () => {
  expect(await probe(farthing, "http://127.0.0.1:1")).toBe("loaded, refused");
  expect([typeof payer().fetch, typeof paywall]).toEqual(["function", "function"]);
});
