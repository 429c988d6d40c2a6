// The ways of a reader and of a site around the wallet page.

import { randomBytes } from "node:crypto";
import { listen } from "../../www-demo/serve.mjs";

export const random = (bytes) => `0x${randomBytes(bytes).toString("hex")}`;

/** A site of nothing but a page that can ask the wallet, for states that no honest site leads to. */
export async function site({ cleanups }) {
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>site</title><h1>A site</h1>`;
  const served = await listen((_, response) => response.writeHead(200, { "content-type": "text/html" }).end(page));
  cleanups.push(() => served.stop());
  return served;
}

/** A request for this world's hub. */
export const request = ({ world }, changes = {}) => ({
  v: 1,
  type: "farthing-grant-request",
  id: random(16),
  payee: "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
  hub: world.hubUrl,
  network: `eip155:${world.chainId}`,
  contract: world.contract.toLowerCase(),
  asset: world.dai.toLowerCase(),
  unitPrice: String(10n ** 15n),
  units: 500,
  tip: random(32),
  expiresIn: 604_800,
  title: "The Farthing Post",
  reason: "Articles at a tenth of a cent, the film by the second",
  ...changes,
});

/** Opens the wallet from the site by pop-up; the site's page keeps the answer in `answers`. */
export async function popup({ wallet }, page, asked, { silent = false } = {}) {
  const [opened] = await Promise.all([
    page.context().waitForEvent("page"),
    page.evaluate(
      ([url, question, mute]) => {
        window.answers ??= [];
        window.onmessage = ({ data, origin, source }) => {
          if (data?.type === "farthing-wallet-ready" && !mute) source.postMessage(question, origin);
          if (data?.type === "farthing-grant") window.answers.push({ ...data, origin });
        };
        window.opened = window.open(`${url}/#farthing-popup=${question.id}`, `farthing-${question.id}`);
      },
      [wallet.url, asked, silent],
    ),
  ]);
  return opened;
}

export const answers = (page) => page.evaluate(() => window.answers);
export const outcome = (page, code) => page.waitForFunction((wanted) => document.body.dataset.outcome === wanted, code);
export const ready = (page) => page.waitForSelector('#status[data-state="connected"]', { state: "attached" });

export function must(condition, what) {
  if (!condition) throw new Error(`It is not so: ${what}`);
}

/** A new wallet with a key of its own, and what it deposits by the page. */
export async function ownWallet(stage, deposits = []) {
  const context = await stage.context();
  const page = await context.newPage();
  await page.goto(`${stage.wallet.url}/`);
  await page.click("#browser-key");
  await ready(page);
  for (const [asset, amount] of deposits) {
    await page.goto(`${stage.wallet.url}/#deposit`);
    await page.selectOption("#deposit-asset", asset);
    await page.click("#faucet").catch(() => {});
    await page.waitForSelector(".faucet .note");
    await page.fill("#deposit-amount", amount);
    await page.click('.deposit button[type="submit"]');
    await page.waitForSelector(".balances");
  }
  return { context, page };
}
