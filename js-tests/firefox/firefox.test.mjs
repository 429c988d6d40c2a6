// Stores and tabs in Firefox. Its tabs are stopped by their processes: closed, killed, halted.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { parseEther } from "viem";
import { crowd, takeover } from "../support/crowd.mjs";
import { farthing } from "../support/env.mjs";
import { openFirefox, stop } from "../support/firefox.mjs";
import { casesFor } from "../support/store-conformance.mjs";
import { closeAll, openAll } from "../support/tabs.mjs";
import { createWorld } from "../support/world.mjs";

/** A page halted in the middle of a commit keeps its successor from the store: docs/tabs.md, "The fence". */
const DELAYED = 2_000;

describe("Firefox", () => {
  let world, browser, alice, a;

  before(async () => {
    [world, browser] = await Promise.all([createWorld(), openFirefox()]);
    a = await world.account();
    const { connect } = await farthing();
    alice = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: a.privateKey }, store: "memory", pollInterval: 100 });
    await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  });
  after(async () => {
    await alice?.disconnect();
    await browser?.close();
    await world?.stop();
  });

  const newScene = async () => {
    const { privateKey } = await world.account();
    const options = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey } };
    return { browser, options, stop, alice, to: a.address, delayed: DELAYED };
  };

  test("IndexedDB keeps what every store must keep", async () => {
    const page = await browser.newPage();
    for (const title of casesFor({ openShared: true })) {
      await page.evaluate(async (title) => {
        const { openStore } = await globalThis.farthing._testing();
        const database = `test-${Math.random()}`;
        await storeCases[title]({ open: () => openStore(`indexeddb:${database}`), openShared: () => openStore(`shared:${database}`) });
      }, title);
    }
    await page.close();
  });

  for (const way of Object.keys(stop)) {
    test(`the leader is ${way}: another tab takes over within a second`, async () => takeover(await newScene(), way));
  }

  test("a leader that is busy for long is replaced, and commits nothing any more", async () => {
    const { options, to } = await newScene();
    const tabs = await openAll(browser, options, 2);
    await tabs[0].page.evaluate(() => client.deposit({ asset: "ETH", amount: 10n ** 17n }));
    const [busy, status] = await Promise.all([
      tabs[0].page.evaluate(async (to) => {
        const paid = Promise.all(Array.from({ length: 20 }, () => client.pay({ to, asset: "ETH", amount: 1n, wait: true })));
        for (const end = Date.now() + 2_000; Date.now() < end; );
        return (await paid).map(({ status }) => status);
      }, to),
      tabs[1].page.evaluate(async (to) => (await client.pay({ to, asset: "ETH", amount: 1n, wait: true })).status, to),
    ]);
    assert.deepEqual(new Set([...busy, status]), new Set(["completed"]));
    for (const { page } of tabs) assert.equal(await page.evaluate(async () => (await client.payments()).length), 21);
    await closeAll(tabs);
  });

  test("4 tabs, 400 payments, leaders stopped at random: every payment is made exactly once", async () => crowd(await newScene()));
});
