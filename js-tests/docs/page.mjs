// Blocks that are a page's: bundled with the packed package, under a strict policy, in Chromium.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium as playwright } from "playwright-core";
import { chromium, packageFolder } from "../support/env.mjs";
import { paidSite } from "../support/paid-site.mjs";
import { walletSite } from "../support/pay-pages.mjs";

const support = fileURLToPath(new URL("../support", import.meta.url));

const bundle = async (contents, resolveDir) => {
  const { outputFiles } = await build({ stdin: { contents, resolveDir }, bundle: true, format: "esm", platform: "browser", target: "es2022", write: false, logLevel: "silent" });
  return outputFiles[0].text;
};

const html = '<!doctype html><html lang="en"><meta charset="utf-8"><title>block</title><script type="module" src="/page.js"></script>';

const RUNS = {
  /** A browser with one wallet, which announces itself and signs for real. */
  async wallet(block, set, open) {
    const { privateKey } = await set.world.account();
    const before = `
import { createWallet } from ${JSON.stringify(join(support, "wallet.mjs"))};
import { initAsync } from "farthing";
const provider_ = createWallet(${JSON.stringify({ privateKey, rpcUrl: set.world.rpcUrl })});
const info = Object.freeze({ uuid: "350670db-19fa-4704-a166-e52e178b59d2", name: "Test", icon: "data:image/svg+xml,<svg/>", rdns: "example.test" });
const announce = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider: provider_ }) }));
addEventListener("eip6963:requestProvider", announce);
await initAsync("/core_bg.wasm");
`;
    const needs = /import \{ connect \}/.test(block) ? "" : 'import { connect } from "farthing";\n';
    const script = await bundle(`${needs}${before}${block}\nglobalThis.told = { address: client.info.address, wanted: provider_.address }; await client.disconnect(); document.title = "done";`, set.folder);
    const server = createServer(({ url }, response) => {
      if (url === "/page.js") return response.writeHead(200, { "content-type": "text/javascript" }).end(script);
      if (url === "/core_bg.wasm") return response.writeHead(200, { "content-type": "application/wasm" }).end(readFileSync(join(packageFolder(), "core_bg.wasm")));
      return response.writeHead(url === "/" ? 200 : 404, { "content-type": "text/html" }).end(html);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const page = await open(`http://127.0.0.1:${server.address().port}/`);
      await page.getByRole("button", { name: /Test/ }).click();
      await page.waitForFunction(() => document.title === "done");
      const { address, wanted } = await page.evaluate(() => globalThis.told);
      assert.equal(address.toLowerCase(), wanted.toLowerCase());
    } finally {
      server.closeAllConnections();
      server.close();
    }
  },

  /** A site that sells, and a wallet page whose reader allows. */
  async site(block, set, open) {
    const wallet = await walletSite();
    const text = block.replaceAll("https://wallet.example/", wallet.url);
    const variable = text.match(/const (\w+) = await pay\.fetch/)[1];
    const script = await bundle(`${text}\nglobalThis.told = await ${variable}.text(); document.title = "done";`, set.folder);
    const site = await paidSite({
      routes: { "/articles/7": { units: 2, serve: (_, response) => response.end("The whole article.") } },
      files: { "/": { type: "text/html", body: html, headers: { "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'" } }, "/page.js": { type: "text/javascript", body: script } },
    });
    wallet.sites.push(site);
    try {
      const page = await open(`${site.url}/`);
      await page.waitForFunction(() => document.title === "done");
      assert.equal(await page.evaluate(() => globalThis.told), "The whole article.");
      assert.equal(site.charged(), 2);
    } finally {
      await site.close();
      await wallet.close();
    }
  },
};

export async function runInBrowser(kind, block, set) {
  const browser = await playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"] });
  const failed = [];
  try {
    const context = await browser.newContext();
    context.setDefaultTimeout(60_000);
    const open = async (url) => {
      const page = await context.newPage();
      page.on("pageerror", (error) => failed.push(error.message));
      await page.goto(url);
      return page;
    };
    await RUNS[kind](block, set, open);
    assert.deepEqual(failed, []);
  } finally {
    await browser.close();
  }
}
