// In Chromium: from the click on a link to the paid text on a page that was never loaded, with the grant or the channel in hand.
// Both sites are the same page, and a script that has the payer in it, bundled and made small by the same tool.

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { chromium as playwright } from "playwright-core";
import { parseEther } from "viem";
import { clientsOf } from "../support/clients.mjs";
import { chromium, packageFolder } from "../support/env.mjs";
import { walletSite } from "../support/pay-pages.mjs";
import { createWorld } from "../support/world.mjs";
import { engineOf, stall } from "./stalls.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));

const html = (body) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>closed</title>${body}`;
const FRONT = html(`<a href="/read.html">Read</a><script>document.querySelector("a").onclick = () => (sessionStorage.clicked = performance.timeOrigin + performance.now());</script>`);
const READ = html(`<button>Read</button><main></main><script type="module" src="/read.js"></script>`);

/** The page's script; `get` is what pays. */
const SCRIPT = `
const open = async (number) => {
  const response = await get("/articles/" + number);
  const text = await response.text();
  if (response.status !== 200) throw new Error(text);
  document.querySelector("main").textContent = text;
  globalThis.took = performance.timeOrigin + performance.now() - Number(sessionStorage.clicked);
  document.title = "read";
};
document.querySelector("button").onclick = () => open(0);
if (sessionStorage.clicked) await open(Math.floor(Math.random() * 1e9));
`;
const OURS = `import { payer } from ${JSON.stringify(join(packageFolder(), "pay/index.mjs"))}; const get = payer().fetch; ${SCRIPT}`;
const THEIRS = `import { get } from ${JSON.stringify(join(here, "peers/x402-page.mjs"))}; ${SCRIPT}`;

/** Lays the pages down; gives the folder, and what the script weighs after gzip. */
async function pages(folder, contents) {
  mkdirSync(folder);
  const { outputFiles: [script] } = await build({ stdin: { contents, resolveDir: here }, bundle: true, minify: true, format: "esm", platform: "browser", target: "es2022", write: false, logLevel: "silent" });
  for (const [name, body] of Object.entries({ "index.html": FRONT, "read.html": READ, "read.js": script.contents })) writeFileSync(join(folder, name), body);
  return { folder, bytes: gzipSync(script.contents, { level: 9 }).length };
}

/** A wallet's page that allows; the streams are the client's, and real. */
async function allowing(client) {
  const wallet = await walletSite();
  wallet.decide = async ({ id, tip, payee, network, contract, hub, asset, unitPrice, units }) => {
    const stream = await client.stream({ to: payee, asset, unitPrice: BigInt(unitPrice), units, tip, expiresIn: 86_400 });
    const grant = { key: stream.key, tip, payee, network, contract, hub, asset, unitPrice, units, expiry: stream.expiresAt / 1_000, symbol: "ETH", decimals: 18 };
    return [{ v: 1, type: "farthing-grant", id, grant }];
  };
  return wallet;
}

/** By side: `{ times, bytes }`, milliseconds, sorted. */
export async function firstArticle({ visits = 11 } = {}) {
  const world = await createWorld();
  const { local, disconnectAll } = clientsOf(() => world);
  const running = [];
  let browser, wallet;
  try {
    const client = await local(await world.account());
    await client.deposit({ asset: "ETH", amount: parseEther("1") });
    wallet = await allowing(client);
    const [ours, theirs] = [await pages(join(world.folder, "ours"), OURS), await pages(join(world.folder, "theirs"), THEIRS)];
    running.push(await stall("shop.mjs", { ...(await engineOf(world, "shop")), STORE: `${world.folder}/shop.db`, PAGE: ours.folder, WALLET: wallet.url }));
    running.push(await stall("peers/x402-site.mjs", { PAGE: theirs.folder }));
    const sites = { farthing: { ...ours, url: running[0].url, times: [] }, x402: { ...theirs, url: running[1].url, times: [] } };
    browser = await playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"] });
    const context = await browser.newContext();
    const failed = (page) => page.waitForEvent("pageerror").then((error) => Promise.reject(error));
    const read = (page) => Promise.race([page.waitForFunction(() => document.title === "read"), failed(page)]);
    for (const { url } of Object.values(sites)) {
      const page = await context.newPage();
      await page.goto(`${url}/read.html`);
      const done = read(page);
      await page.click("button");
      await done;
      await page.close();
    }
    for (let visit = -1; visit < visits; visit += 1) {
      for (const { url, times } of Object.values(sites)) {
        const page = await context.newPage();
        await page.goto(`${url}/index.html`);
        const done = read(page);
        await page.click("a");
        await done;
        if (visit >= 0) times.push(await page.evaluate(() => globalThis.took));
        await page.close();
      }
    }
    for (const { times } of Object.values(sites)) times.sort((a, b) => a - b);
    return sites;
  } finally {
    await browser?.close();
    await wallet?.close();
    await disconnectAll();
    for (const { stop } of running) await stop();
    await world.stop();
  }
}
