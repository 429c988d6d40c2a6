// Codes of calls that are refused here, and of who answers at the hub's URL: provoked by what an application may do.

import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { clientsOf } from "../support/clients.mjs";
import { provokes } from "../support/codes.mjs";
import { createWorld } from "../support/world.mjs";

let world, alice, server;
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
  alice = await local(await world.account());
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  server = createServer((request, response) => response.writeHead(429).end("slow down"));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
});
after(async () => {
  await disconnectAll();
  await new Promise((resolve) => (server.close(resolve), server.closeAllConnections()));
  await world?.stop();
});

const to = `0x${"aa".repeat(20)}`;
const pay = (options) => alice.pay({ to: world.hub.owner, asset: "ETH", amount: 1n, ...options });
const connecting = async (options) => local(await world.account(), options);

test("what a call can't mean", async () => {
  await provokes("invalid-argument", () => pay({ memo: 7 }), /memo/);
  await provokes("invalid-amount", () => pay({ amount: 0n }));
  await provokes("unknown-asset", () => pay({ asset: "USDX" }), /hub lists/);
  await provokes("unknown-payee", () => pay({ to }), /no channel with this hub/);
  await provokes("unknown-payment", () => alice.cancel(`0x${"1".repeat(32)}`));
  await provokes("bad-expiry", () => pay({ expiresIn: 1 }), /expiry/);
  await provokes("amount-overflow", () => alice.stream({ to: world.hub.owner, asset: "ETH", unitPrice: 2n ** 127n, units: 65_535 }));
  await provokes("insufficient-funds", () => pay({ amount: parseEther("2") }), /can be spent/);
  await provokes("limit-exceeded", () => pay({ amount: parseEther("101") }));
});

test("who is at the hub's URL", async () => {
  await provokes("not-a-hub", () => connecting({ hub: world.rpcUrl }), /check the URL/);
  await provokes("not-connected", () => connecting({ hub: "http://127.0.0.1:1" }), /Is its URL right/);
  await provokes("rate-limited", () => connecting({ hub: `http://127.0.0.1:${server.address().port}` }));
  await provokes("chain-mismatch", () => connecting({ chainId: 5 }));
});

test("what an exit leaves nobody to do", async () => {
  const leaver = await connecting();
  await leaver.deposit({ asset: "ETH", amount: 1_000n });
  const begun = new Promise((resolve) => leaver.on("exit", ({ stage }) => stage === "challenge" && resolve()));
  leaver.exit().catch(() => {});
  await begun;
  await provokes("channel-exiting", () => leaver.pay({ to: world.hub.owner, asset: "ETH", amount: 1n }), /only the chain/);
  await provokes("channel-exiting", () => leaver.withdraw({ asset: "ETH", amount: 1n }));
  await leaver.disconnect();
  await provokes("client-closed", () => leaver.balances(), /connect\(\)/);
});
