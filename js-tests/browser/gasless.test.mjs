// A page whose visitor has a wallet with tokens and no ETH: from the first deposit to the closing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "../support/browser.mjs";
import { farthing } from "../support/env.mjs";
import { settled } from "../support/settled.mjs";
import { createWorld } from "../support/world.mjs";

let world, browser, bob;
before(async () => {
  [world, browser] = await Promise.all([createWorld({ relay: true, dai: { deposit_fee: 50n, min_relayed_withdrawal: 1n } }), openBrowser()]);
});
after(async () => {
  await bob?.disconnect();
  await browser?.close();
  await world?.stop();
});

test("a wallet in Chromium opens by a signature, pays, is paid, withdraws and closes, and sends nothing", async () => {
  const [a, b] = [await world.account({ eth: 0n, dai: 10_000n }), await world.account({ eth: 0n, dai: 10_000n })];
  const { connect } = await farthing();
  bob = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: b.privateKey }, store: "memory", pollInterval: 100 });
  await bob.deposit({ asset: "DAI", amount: 1_000n, gas: "hub" });

  const page = await browser.newPage();
  const deposited = await page.evaluate(
    async ({ hub, rpcUrl, privateKey }) => {
      globalThis.wallet = createWallet({ privateKey, rpcUrl });
      globalThis.client = await farthing.connect({ hub, wallet, pollInterval: 100 });
      const { fee, how } = await client.depositFee({ asset: "DAI" });
      const before = wallet.asked.filter((method) => method === "eth_signTypedData_v4").length;
      const done = await client.deposit({ asset: "DAI", amount: 1_000n, gas: "hub", maxFee: fee });
      const signatures = wallet.asked.filter((method) => method === "eth_signTypedData_v4").length - before;
      return { how, fee: String(done.fee), signatures };
    },
    { hub: world.hubUrl, rpcUrl: world.rpcUrl, privateKey: a.privateKey },
  );
  assert.deepEqual(deposited, { how: "permit", fee: "50", signatures: 2 });
  await page.evaluate((to) => client.pay({ to, asset: "DAI", amount: 400n }), b.address);
  assert.equal((await settled(bob, "DAI")).available, 950n + 400n);
  await bob.pay({ to: a.address, asset: "DAI", amount: 100n });
  const { sent, left } = await page.evaluate(async () => {
    await client.withdraw({ asset: "DAI", amount: 200n, relay: true });
    await client.close({ relay: true });
    await client.disconnect();
    return { sent: wallet.sent.length, left: wallet.asked.filter((method) => method === "eth_sendTransaction").length };
  });
  assert.deepEqual([sent, left], [0, 0]);
  assert.equal(await world.balanceOf(a.address, "DAI"), 10_000n - 50n - 400n + 100n);
  assert.equal(await world.balanceOf(a.address), 0n);
  assert.equal(await world.chain.reader.getTransactionCount({ address: a.address }), 0);
});
