// Every kind of wallet in Chromium, through refusals, another chain, another account and a reload.

import { openBrowser } from "../support/browser.mjs";
import { JOURNEY, walletMatrix } from "../support/wallet-matrix.mjs";

walletMatrix("Chromium", () => openBrowser({ more: JOURNEY }), async (browser, page) => (await browser.reload(page), page));
