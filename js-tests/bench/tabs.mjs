// How long a wallet is without an engine when the tab that runs it is closed, or frozen: from that moment until another
// tab is connected to the hub again.

import { openBrowser } from "../support/browser.mjs";
import { leaderOf, openTab, stop } from "../support/tabs.mjs";
import { createWorld } from "../support/world.mjs";

const ROUNDS = 11;

/** Milliseconds, sorted, for each way. */
export async function takeovers() {
  const [world, browser] = await Promise.all([createWorld(), openBrowser()]);
  try {
    const { privateKey } = await world.account();
    const options = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey } };
    let connected = () => {};
    const hear = (tab, type, time) => type === "connected" && connected(tab, time);
    const open = async () => {
      const tab = await openTab(browser, options, hear);
      await tab.page.evaluate(() => join());
      return tab;
    };
    const times = {};
    for (const way of ["closed", "frozen"]) {
      times[way] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        // Fresh ones each time: who replaced a leader lately is slow to do it again.
        const tabs = [await open(), await open(), await open()];
        const leader = await leaderOf(tabs, tabs[1]);
        const back = new Promise((resolve) => (connected = (tab, time) => tab !== leader && resolve(time)));
        const began = Date.now();
        await stop[way](leader);
        times[way].push((await back) - began);
        await leader.thaw?.();
        await Promise.all(tabs.filter(({ page }) => !page.isClosed()).map(({ page }) => page.close()));
      }
      times[way].sort((x, y) => x - y);
    }
    return times;
  } finally {
    await browser.close();
    await world.stop();
  }
}
