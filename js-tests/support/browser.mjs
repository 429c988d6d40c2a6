// A headless Chromium on a page that serves the installed package, as any site would, and the test's own tools.

import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium as playwright } from "playwright-core";
import { chromium, packageFolder } from "./env.mjs";

/** Gives a page an injected wallet, which signs here and not there. */
export async function inject(page, wallet) {
  await page.exposeFunction("askWallet", async (request) => {
    try {
      return { result: await wallet.request(request) };
    } catch (error) {
      return { error: { message: error.message, code: error.code } };
    }
  });
  await page.addInitScript(() => {
    window.ethereum = {
      async request(request) {
        const { result, error } = await window.askWallet(request);
        if (error) throw Object.assign(new Error(error.message), { code: error.code });
        return result;
      },
    };
  });
}

const here = dirname(fileURLToPath(import.meta.url));
const TYPES = { ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };

/** Serves the page, under a Content-Security-Policy if there is one: `{ url, close() }`. When its title is `ready`, it has the globals `farthing`, `wallets`, `createWallet`, `storeCases`, and what `more` exports. */
export async function servePage({ policy, more = "" } = {}) {
  const tools = await build({
    stdin: {
      contents: `export { createWallet } from "./wallet.mjs"; export { cases as storeCases } from "./store-conformance.mjs";${more}`,
      resolveDir: here,
    },
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
    logLevel: "silent",
  });
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Farthing test</title><script type="module" src="/page.js"></script>`;
  const script = `
    import * as farthing from "/farthing/browser.mjs";
    import * as wallets from "/farthing/wallets/index.mjs";
    import * as tools from "/tools.js";
    Object.assign(globalThis, { farthing, wallets, ...tools });
    document.title = "ready";`;
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://x").pathname);
    const send = (type, body) => response.writeHead(200, { "content-type": type }).end(body);
    if (policy !== undefined) response.setHeader("content-security-policy", policy);
    if (path === "/") return send("text/html", page);
    if (path === "/page.js") return send("text/javascript", script);
    if (path === "/tools.js") return send("text/javascript", tools.outputFiles[0].text);
    const file = join(packageFolder(), path.replace(/^\/farthing\//, ""));
    if (!path.startsWith("/farthing/") || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** `{ url, context, newPage(), reload(page), close() }` of Chromium, with pages of `servePage`. */
export async function openBrowser({ profile, policy, more } = {}) {
  const served = await servePage({ policy, more });
  const { url } = served;
  const launch = { executablePath: chromium(), args: ["--no-sandbox"] };
  const context = profile
    ? await playwright.launchPersistentContext(profile, launch)
    : await (await playwright.launch(launch)).newContext();
  return {
    url,
    context,
    async newPage() {
      const opened = await context.newPage();
      opened.on("pageerror", (error) => console.error("page:", error));
      await opened.goto(url);
      await opened.waitForFunction(() => document.title === "ready");
      return opened;
    },
    async reload(opened) {
      await opened.reload();
      await opened.waitForFunction(() => document.title === "ready");
    },
    async close() {
      const browser = context.browser();
      await context.close();
      await browser?.close();
      await served.close();
    },
  };
}
