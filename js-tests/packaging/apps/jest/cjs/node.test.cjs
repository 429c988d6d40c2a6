/** @jest-environment node */
const { probe } = require("../../shared/probe.cjs");
const farthing = require("farthing");
const { payer } = require("farthing/pay");
const { paywall, recover } = require("farthing/paywall");

test("the package works", async () => {
  expect(await probe(farthing, "http://127.0.0.1:1")).toBe("loaded, refused");
  expect([typeof payer().fetch, typeof paywall]).toEqual(["function", "function"]);
  const signature = Uint8Array.from(Buffer.from("3e8c363aa97671cdba9205746916df555a955ebba74f4cae54f89cb9e654dc085c79f2f1f5b27ea08462ecb76733535b18e34cdeeb9c704c96eb5b8b3ed17f891c", "hex"));
  expect(await recover(new Uint8Array(32).fill(1), signature)).toMatch(/^0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a$/i);
});
