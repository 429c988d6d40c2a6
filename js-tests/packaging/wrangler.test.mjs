// A worker as Cloudflare's own tool builds it and runs it, with nothing configured for the package's sake.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { start } from "../support/process.mjs";
import { createWorld } from "../support/world.mjs";
import { node, tool, whole, workFolder } from "./support/work.mjs";

const wrangler = tool("wrangler/bin/wrangler.js");
const env = { WRANGLER_SEND_METRICS: "false", CI: "1", NO_COLOR: "1", NODE_OPTIONS: "" };

test("wrangler: a worker is built, pays, and is told in one sentence that it has no store", { skip: !whole }, async () => {
  const folder = join(workFolder("wrangler"), "wrangler");
  const built = await node([wrangler, "deploy", "--dry-run", "--outdir", "out"], { cwd: folder, env });
  assert.equal(built.code, 0, built.said);
  assert.equal(readdirSync(join(folder, "out")).filter((name) => name.endsWith(".wasm")).length, 1);

  const world = await createWorld();
  try {
    const ready = (line) => line.match(/Ready on (http:\S+)/)?.[1];
    const dev = await start(process.execPath, [wrangler, "dev", "--cwd", folder, "--port", "0", "--inspector-port", "0", "--ip", "127.0.0.1"], { name: "wrangler dev", env, ready, patience: 60_000 });
    try {
      const { privateKey } = await world.account();
      const options = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, pollInterval: 100, payee: world.hub.owner };
      const answer = await fetch(dev.answer, { method: "POST", body: JSON.stringify(options) });
      const said = await answer.text();
      assert.equal(answer.status, 200, said);
      const { without, status } = JSON.parse(said);
      assert.equal(status, "completed");
      assert.match(without, /^storage-failed: IndexedDB is not available here; give connect\(\) a store\./);
    } finally {
      await dev.stop();
    }
  } finally {
    await world.stop();
  }
});
