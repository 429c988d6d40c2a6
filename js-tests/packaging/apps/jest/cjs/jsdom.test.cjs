/** @jest-environment jsdom */
const farthing = require("farthing");
const { payer } = require("farthing/pay");

test("the package loads, and says in one sentence why it can't connect", async () => {
  expect((await farthing.errorCodes()).length).toBeGreaterThan(40);
  await expect(farthing.connect({ hub: "http://127.0.0.1:1" })).rejects.toMatchObject({ code: "unsupported", message: expect.stringContaining("@jest-environment node") });
  expect(typeof payer).toBe("function");
});
