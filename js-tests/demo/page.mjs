// Bob's browser: headless Chromium on the wallet page, with an injected wallet that signs for real.

import { chromium as playwright } from "playwright-core";
import { chromium } from "../support/env.mjs";
import { inject } from "../support/browser.mjs";
import { createWallet } from "../support/wallet.mjs";

/** Opens the wallet page for an account. Calls of the client run in the page: `bob.call("pay", options)`. */
export async function openWallet({ url, rpcUrl, privateKey }) {
  const browser = await playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"] });
  const page = await browser.newPage({ viewport: { width: 1080, height: 860 } });
  const wallet = createWallet({ privateKey, rpcUrl });
  await inject(page, wallet);
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(`${url}/`);
  await page.click("[data-rdns]");
  await page.waitForSelector('#status[data-state="connected"], .connect .note.bad');
  const refused = await page.$(".connect .note.bad");
  if (refused !== null) throw new Error(`Bob's page says: ${await refused.textContent()}`);
  return {
    page,
    problems,
    address: wallet.address,
    call: (method, options) => page.evaluate(([name, given]) => window.farthing.client[name](given), [method, options]),
    async stop() {
      await page.evaluate(() => window.farthing.client.disconnect());
      await browser.close();
    },
  };
}
