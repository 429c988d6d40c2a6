// Every kind of wallet in Firefox, through refusals, another chain, another account and a page that is opened again.

import { openFirefox } from "../support/firefox.mjs";
import { JOURNEY, walletMatrix } from "../support/wallet-matrix.mjs";

walletMatrix("Firefox", () => openFirefox({ more: JOURNEY }), async (browser, page) => {
  await page.close();
  return browser.newPage();
});
