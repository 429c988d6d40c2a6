// The set of `farthing dev`, part by part: who reaches it, and what its faucet says when it gave nothing.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { anvilProgram, packageFile } from "../support/env.mjs";

const { startChain } = await packageFile("dev/chain.mjs");
const { servePages } = await packageFile("dev/pages.mjs");
const { Keeper } = await packageFile("dev/process.mjs");
const folder = mkdtempSync(join(tmpdir(), "farthing-dev-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A port that was free a moment ago. */
async function port() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const says = (url) => fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] }) }).then((response) => response.ok);

test("the chain is this machine's alone, whatever the environment says to other chains", { skip: process.platform !== "linux" }, async () => {
  process.env.ANVIL_IP_ADDR = "0.0.0.0";
  const keeper = new Keeper();
  try {
    const { url } = await startChain(keeper, { program: anvilProgram(), folder, port: await port() });
    assert.ok(await says(url));
    await assert.rejects(says(url.replace("127.0.0.1", "127.0.0.2")), TypeError);
  } finally {
    delete process.env.ANVIL_IP_ADDR;
    await keeper.stop();
  }
});

test("a faucet that could not give gives when it is asked again", async () => {
  let works = false;
  const give = async () => {
    if (!works) throw new Error("The chain does not answer.");
  };
  const pages = await servePages({ hub: "http://127.0.0.1:1", give });
  try {
    const ask = async () => (await fetch(`${pages.url}/faucet`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ address: `0x${"11".repeat(20)}` }) })).status;
    assert.equal(await ask(), 500);
    works = true;
    assert.deepEqual([await ask(), await ask()], [200, 429]);
  } finally {
    await pages.stop();
  }
});
