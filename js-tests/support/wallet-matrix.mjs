// Every kind of wallet through a user's way, in whichever browser: `reload(page)` gives the page after it was loaded again.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createWorld } from "./world.mjs";

export const JOURNEY = `export { walletKinds, walletBefore, walletAfter } from "./wallet-journey.mjs";`;

const KINDS = ["announced", "raw", "viem", "wagmi", "ethers"];

export function walletMatrix(name, openBrowser, reload) {
  describe(`wallets in ${name}`, () => {
    let world, browser;
    before(async () => {
      world = await createWorld();
      browser = await openBrowser();
    });
    after(async () => {
      await browser?.close();
      await world?.stop();
    });

    for (const kind of KINDS) {
      test(kind, async () => {
        const { privateKey } = await world.account();
        const stranger = (await world.account()).address;
        const given = { kind, hub: world.hubUrl, to: world.hub.owner, privateKey, rpcUrl: world.rpcUrl, stranger };
        let page = await browser.newPage();
        const { channel, sent, ...first } = await page.evaluate((given) => globalThis.walletBefore(given), given);
        assert.deepEqual(first, {
          accounts: ["wallet-rejected", "done"],
          signature: ["wallet-rejected", "done"],
          deposit: ["wallet-rejected", "done"],
          status: "completed",
          popups: 0,
          chain: ["chain-mismatch", "done"],
          account: ["wallet-unavailable", "done"],
        });
        assert.equal(sent, 3);
        page = await reload(browser, page);
        const { messages, ...second } = await page.evaluate((given) => globalThis.walletAfter(given), given);
        assert.deepEqual(second, {
          channel,
          before: 902n,
          pay: ["wallet-rejected", "done"],
          asked: 2,
          again: "done",
          withdraw: ["wallet-rejected", "done"],
          after: 301n,
          close: "done",
        });
        const [{ primaryType, domain, message }] = messages;
        assert.deepEqual([messages.length, primaryType, domain.name], [1, "Payment", "Farthing payment"]);
        assert.equal(message.payee.toLowerCase(), world.hub.owner.toLowerCase());
        assert.equal(message.amount, "0.000000000000000001 ETH");
        assert.match(message.asset, /^ETH \(0x0{40}\)$/);
        await page.close();
      });
    }
  });
}
