// The hub is gone for good, and the page is loaded again: the wallet opens from IndexedDB, in all tabs, and leaves.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { gasPaid } from "../demo/audit.mjs";
import { openBrowser } from "../support/browser.mjs";
import { createWorld } from "../support/world.mjs";

let world, browser;

before(async () => {
  [world, browser] = await Promise.all([createWorld(), openBrowser()]);
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

test("a reload with the hub dead, then exit() from another tab: every wei", async () => {
  const { privateKey, address } = await world.account();
  const open = async () => {
    const page = await browser.newPage();
    await page.exposeFunction("passTo", (time) => world.chain.passTo(time / 1_000 + 1));
    return page;
  };
  /** Connects by an injected wallet, and gives what there is. */
  const join = (page) =>
    page.evaluate(
      async ({ hub, rpcUrl, privateKey }) => {
        globalThis.wallet = createWallet({ privateKey, rpcUrl });
        globalThis.client = await farthing.connect({ hub, wallet, pollInterval: 100 });
        const { connected, signer, channelId } = client.info;
        const [{ available }] = await client.balances();
        return { connected, signer, channelId, available: String(available) };
      },
      { hub: world.hubUrl, rpcUrl: world.rpcUrl, privateKey },
    );
  const [one, two] = [await open(), await open()];
  await join(one);
  await one.evaluate((amount) => client.deposit({ asset: "ETH", amount: BigInt(amount) }), String(parseEther("1")));
  await browser.reload(one);
  const had = await join(one);
  assert.deepEqual([had.connected, had.available], [true, String(parseEther("1"))]);
  await world.hub.destroy();

  await browser.reload(one);
  assert.deepEqual(await join(one), { ...had, connected: false });
  assert.deepEqual(await join(two), { ...had, connected: false });
  await two.evaluate(async () => {
    await client.exit({ onProgress: ({ endsAt }) => endsAt && passTo(endsAt) });
  });
  assert.equal((await world.balanceOf(address)) + (await gasPaid(world, [address], 0n)).of(address), parseEther("10"));
});
