/** @jest-environment node */
const { connect } = require("farthing");

test("a client pays", async () => {
  const { payee, ...options } = JSON.parse(process.env.PAYS);
  const client = await connect(options);
  await client.deposit({ asset: "ETH", amount: 1_000n });
  const { status } = await client.pay({ to: payee, asset: "ETH", amount: 1n });
  await client.disconnect();
  expect(status).toBe("completed");
}, 60_000);
