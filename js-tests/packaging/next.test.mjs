// An application of Next out of the packed package: pages that load it, a route handler that sells by `farthing/paywall`, and a
// page that buys there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createWorld } from "../support/world.mjs";
import { closeBrowser, titleOf } from "./support/site.mjs";
import { node, tool, whole, workFolder } from "./support/work.mjs";

const skip = !whole;
const next = tool("next/dist/bin/next");
let world;

before(async () => !skip && (world = await createWorld()));
after(async () => {
  await closeBrowser();
  await world?.stop();
});

/** A port that is free now: the site has to know its address before it listens. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function started(folder, data) {
  const url = `http://127.0.0.1:${await freePort()}`;
  const { privateKey } = await world.account();
  const shop = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, pollInterval: 100, folder: data, origin: url };
  const env = { ...process.env, SHOP: JSON.stringify(shop), NODE_OPTIONS: "", NEXT_TELEMETRY_DISABLED: "1" };
  const child = spawn(process.execPath, [next, "start", "-p", new URL(url).port, "-H", "127.0.0.1"], { cwd: folder, env, stdio: ["ignore", "pipe", "inherit"] });
  let told = "";
  await new Promise((resolve, reject) => {
    child.on("close", () => reject(new Error(`next start ended: ${told}`)));
    child.stdout.on("data", (bytes) => (told += bytes).includes("Ready") && resolve());
  });
  return { child, url };
}

for (const bundler of ["turbopack", "webpack"]) {
  test(`Next, built by ${bundler}: on the server, in the browser, and as a site that sells`, { skip }, async () => {
    const folder = join(workFolder(`next-${bundler}`), "next");
    const built = await node([next, "build", `--${bundler}`], { cwd: folder });
    assert.equal(built.code, 0, built.said);
    const data = join(world.folder, bundler);
    mkdirSync(data);
    const { child, url } = await started(folder, data);
    try {
      assert.equal(await (await fetch(`${url}/server`)).text(), "loaded, refused");
      assert.equal(await titleOf(`${url}/`), "loaded, refused, function");
      const { privateKey } = await world.account();
      const reader = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, pollInterval: 100 };
      assert.equal(await titleOf(`${url}/reader#${encodeURIComponent(JSON.stringify(reader))}`), "402, 200, the whole article");
    } finally {
      child.kill();
    }
  });
}
