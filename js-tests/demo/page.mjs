// Bob's browser: headless Chromium on the wallet page, with an injected wallet that signs for real.

import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { chromium as playwright } from "playwright-core";
import { chromium, packageFolder } from "../support/env.mjs";
import { inject } from "../support/browser.mjs";
import { createWallet } from "../support/wallet.mjs";

const TYPES = { ".html": "text/html", ".css": "text/css", ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm" };
const SITE = new URL("../../www-demo/", import.meta.url).pathname;

/** Serves `www-demo/`, and the installed package under `/farthing/`. */
export async function serve() {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://page").pathname);
    const file = path.startsWith("/farthing/") ? join(packageFolder(), path.slice("/farthing/".length)) : join(SITE, path);
    const found = file.endsWith("/") ? join(file, "index.html") : file;
    if (path.includes("..") || !existsSync(found)) {
      response.writeHead(404).end("not found");
      return;
    }
    response.writeHead(200, { "content-type": TYPES[extname(found)] ?? "application/octet-stream", "cache-control": "no-store" });
    createReadStream(found).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => new Promise((resolve) => server.close(resolve)) };
}

/** Opens the wallet page for an account. Calls of the client run in the page: `bob.call("pay", options)`. */
export async function openWallet({ site, hubUrl, rpcUrl, privateKey }) {
  const browser = await playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"] });
  const page = await browser.newPage({ viewport: { width: 1080, height: 860 } });
  const wallet = createWallet({ privateKey, rpcUrl });
  await inject(page, wallet);
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(`${site.url}/wallet/?hub=${encodeURIComponent(hubUrl)}`);
  await page.waitForFunction(() => window.farthing || document.getElementById("status").dataset.state === "failed");
  const state = await page.textContent("#status");
  if (!(await page.evaluate(() => Boolean(window.farthing)))) throw new Error(`Bob's page says: ${state}`);
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
