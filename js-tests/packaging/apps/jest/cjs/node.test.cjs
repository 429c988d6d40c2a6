/** @jest-environment node */
const { probe } = require("../../shared/probe.cjs");
const farthing = require("farthing");
const { payer } = require("farthing/pay");
const { paywall } = require("farthing/paywall");

test("the package works", async () => {
  expect(await probe(farthing, "http://127.0.0.1:1")).toBe("loaded, refused");
  expect([typeof payer().fetch, typeof paywall]).toEqual(["function", "function"]);
});
