// How long connect() takes until the client is there, for an account that is new at the hub: with nothing loaded, with what an
// earlier visit left in the cache, and after preload(). Node has no such cache: what is loaded there is the process's.

import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { chromium as playwright } from "playwright-core";
import { chromium, packageFolder } from "../support/env.mjs";
import { start } from "../support/process.mjs";
import { createWorld } from "../support/world.mjs";

const TIMES = 5;
/** Visits after which Chromium keeps compiled code, too. */
const VISITS = 3;
/** A phone's network, as browsers' tools have it: bytes a second and milliseconds. */
const NET = { offline: false, downloadThroughput: 10_000_000 / 8, uploadThroughput: 10_000_000 / 8, latency: 40 };

const TYPES = { ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm" };
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>waiting</title><link rel="icon" href="data:,"><script type="module">
import * as farthing from "/farthing/browser.mjs";
globalThis.farthing = farthing;
document.title = "ready";
</script>`;

const middle = (times) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)];

/** The package as a host serves it: compressed, and to be kept. */
async function host() {
  const files = new Map();
  const file = async (path) => {
    if (!files.has(path)) files.set(path, gzipSync(await readFile(join(packageFolder(), path))));
    return files.get(path);
  };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://x");
    if (pathname === "/") return response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
    const body = await file(pathname.replace("/farthing/", "")).catch(() => undefined);
    if (body === undefined) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(pathname)] ?? "text/plain", "content-encoding": "gzip", "cache-control": "public, max-age=31536000, immutable" }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve))) };
}

/** Runs in a page, or in a process of its own: milliseconds of one connect(). */
export async function once({ connect, preload, errorCodes }, options, preloaded) {
  if (preloaded) {
    preload();
    await errorCodes();
  }
  const started = performance.now();
  const client = await connect(options);
  const took = performance.now() - started;
  await client.disconnect();
  return took;
}

/** By what was there, milliseconds; `net` is laid over the page's network. */
async function inChromium(url, options, net) {
  const times = { cold: [], warm: [], cold_preloaded: [], warm_preloaded: [] };
  const visit = async (context, preloaded) => {
    const page = await context.newPage();
    if (net) {
      const session = await context.newCDPSession(page);
      await session.send("Network.enable");
      await session.send("Network.emulateNetworkConditions", net);
    }
    await page.goto(url);
    await page.waitForFunction(() => document.title === "ready");
    const took = await page.evaluate(`(${once})(farthing, ${JSON.stringify(await options())}, ${preloaded})`);
    await page.close();
    return took;
  };
  for (let count = 0; count < TIMES; count += 1) {
    for (const [name, preloaded] of [["cold", false], ["cold_preloaded", true]]) {
      const profile = mkdtempSync(join(tmpdir(), "farthing-ready-"));
      const context = await playwright.launchPersistentContext(profile, { executablePath: chromium(), args: ["--no-sandbox"] });
      try {
        times[name].push(await visit(context, preloaded));
        for (let more = 0; more < VISITS; more += 1) await visit(context, preloaded);
        times[name.replace("cold", "warm")].push(await visit(context, preloaded));
      } finally {
        await context.close();
        rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
      }
    }
  }
  return times;
}

async function inNode(options) {
  const times = { cold: [], warm: [], cold_preloaded: [] };
  const child = fileURLToPath(new URL("ready-node.mjs", import.meta.url));
  for (let count = 0; count < TIMES; count += 1) {
    for (const [name, preloaded] of [["cold", false], ["cold_preloaded", true]]) {
      const env = { OPTIONS: JSON.stringify([await options(), await options()]), PRELOADED: preloaded ? "1" : "" };
      const { answer, stop } = await start(process.execPath, [child], { name: "a process that connects", env, ready: (line) => line.match(/^took (.+) (.+)$/) });
      times[name].push(Number(answer[1]));
      if (!preloaded) times.warm.push(Number(answer[2]));
      await stop();
    }
  }
  return times;
}

/** Gives rows by name: `ready_chromium_cold` and so on, milliseconds each; those of Chromium are `[ms, { ms_at_10_mbit }]`. */
export async function readies() {
  const world = await createWorld();
  const site = await host();
  const options = async () => ({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: (await world.account({ dai: 0n })).privateKey } });
  try {
    const near = await inChromium(site.url, options);
    const far = await inChromium(site.url, options, NET);
    const node = await inNode(async () => ({ ...(await options()), store: "memory" }));
    return {
      ...Object.fromEntries(Object.entries(near).map(([name, times]) => [`ready_chromium_${name}`, [middle(times), { ms_at_10_mbit: middle(far[name]) }]])),
      ...Object.fromEntries(Object.entries(node).map(([name, times]) => [`ready_node_${name}`, [middle(times), {}]])),
    };
  } finally {
    await site.close();
    await world.stop();
  }
}
